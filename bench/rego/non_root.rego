# Rule one of the "Security Overview" as people would write it: no container of a Deployment may be root. It has no exceptions and
# no settings, knows no other kind of workload, and does not say how to fix a violation.
package non_root

pod := input.request.object.spec.template.spec

containers := array.concat(object.get(pod, "initContainers", []), pod.containers)

# The value of a field that a container can set, or its pod for it.
effective(container, field) := object.get(object.get(container, "securityContext", {}), field, of_pod) if {
	of_pod := object.get(object.get(pod, "securityContext", {}), field, null)
}

is_non_root(container) if effective(container, "runAsUser") > 0

is_non_root(container) if {
	effective(container, "runAsUser") == null
	effective(container, "runAsNonRoot") == true
}

violation contains {"msg": msg} if {
	some index, container in containers
	not is_non_root(container)
	msg := sprintf("container %d %q may run as root", [index, container.name])
}
