# Rule one of the "Security Overview" as people would write it: no container of a Deployment may be root. It knows no exception,
# no settings, no other kind of workload, and does not say what mends it.
package non_root

pod := input.request.object.spec.template.spec

containers := array.concat(object.get(pod, "initContainers", []), pod.containers)

# What holds for a container, where the container and its pod may say it.
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
