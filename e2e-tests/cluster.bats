#!/usr/bin/env bats
# Kubernetes' own API server and controllers, with every policy applied.

programs=(etcd kube-apiserver kube-controller-manager policy-server kubectl openssl)
# `fill` is a second flyte-non-root: mutating, with the setting `fill`.
applied=(flyte-admin-cors flyte-console-url flyte-oauth-tls flyte-non-root fill)
# The namespaces of the policies. The objects in `old` are older than the policies, and `fill` applies to `filled`.
namespaces=(flyte scaled large old filled)
as_root='securityContext: {runAsUser: 0}'
as_flyte='securityContext: {runAsUser: 1001}'

setup_file() {
  load helpers.bash
  load cluster.bash
  has "${programs[@]}" || return 0
  cd "$BATS_FILE_TMPDIR"
  make_certificates
  start_cluster
  for namespace in "${namespaces[@]}"; do kubectl create namespace "$namespace"; done
  make_old_objects
  "$corpus" export . unused unused >/dev/null
  write_policies
  start_policy_server "${applied[@]/%/.yaml}"
  kubectl apply --filename webhooks-of-cases.json --filename webhooks.json >/dev/null
  # The API server learns of the webhooks one after the other, and of the mutating ones separately.
  within 30 refused create flyte "$(workload Deployment probe "$as_root")" --dry-run=server
  within 30 is_filled
}

teardown_file() {
  load helpers.bash
  load cluster.bash
  cd "$BATS_FILE_TMPDIR"
  stop_cluster
}

setup() {
  load helpers.bash
  load cluster.bash
  needs "${programs[@]}"
  cd "$BATS_FILE_TMPDIR"
  export KUBECONFIG=$PWD/admin.kubeconfig
}

# Each policy.yaml, for the namespaces of these tests.
write_policies() {
  local policy list
  list=$(IFS=,; echo "${namespaces[*]}")
  for policy in "${policies[@]}"; do
    sed "s/values: \[flyte\]/values: [$list]/" "$root/policies/$policy/policy.yaml" >"$policy.yaml"
  done
  sed "s/values: \[.*\]/values: [filled]/; s/^  name: .*/  name: fill/; s/mutating: false/mutating: true/; s/settings: {}/settings: {fill: flyte}/" \
    flyte-non-root.yaml >fill.yaml
}

is_filled() {
  create filled "$(workload Deployment flyteadmin 'imagePullPolicy: Always')" --dry-run=server --output yaml | grep 'runAsUser: 1001'
}

# A flyteadmin that runs as root and allows every origin.
old_flyteadmin() {
  workload Deployment flyteadmin "command: [flyteadmin, serve, '--server.security.allowedOrigins=*'], $as_root"
}

make_old_objects() {
  local deployment
  apply old "$(old_flyteadmin)"
  create old "$(workload Deployment rolling "$as_root")"
  create old "$(workload ReplicaSet orphaned "$as_root")"
  create old "$(job migrate "$as_root")"
  create old "$(cors '*')"
  for deployment in flyteadmin rolling; do within 20 is 1 old "deployment/$deployment" .status.availableReplicas; done
  within 20 is 1 old replicaset/orphaned .status.availableReplicas
  within 20 is 1 old job/migrate .status.active
}

@test "the API server accepts the webhook of every policy.yaml" {
  mkdir "$BATS_TEST_TMPDIR/all"
  cp cases.jsonl "$BATS_TEST_TMPDIR/all"
  "$corpus" webhooks "$BATS_TEST_TMPDIR/all" https://127.0.0.1 ca.pem "$root"/policies/*/policy.yaml "$root/policy.yaml"
  taken kubectl apply --dry-run=server --filename "$BATS_TEST_TMPDIR/all/webhooks.json"
  [ "$(grep --count '(server dry run)' <<<"$output")" -eq "${#artifacts[@]}" ]
}

@test "each object with a violation in examples/before.yaml is rejected, and all of examples/after.yaml is accepted" {
  # flyteconsole and flyteadmin are compared only when both are there.
  echo 'flyte-console-url: {crossCheck: false}' >settings.yaml
  run "$flytewarden" check --format json --settings settings.yaml "$root/examples/before.yaml"
  wrong=$(sed -n 's/^ *"refused": \([0-9]*\),$/\1/p' <<<"$output")
  run kubectl apply --filename "$root/examples/before.yaml"
  echo "$output"
  [ "$(grep --count 'denied the request: ' <<<"$output")" -eq "$wrong" ]

  # The kind of one object exists only with cert-manager.
  run kubectl apply --filename "$root/examples/after.yaml"
  echo "$output"
  [[ $output != *"denied the request"* ]]
  [ "$(grep --count ' created$\| configured$\| unchanged$' <<<"$output")" -eq 10 ]
}

@test "the command's report on the examples matches the cluster's answers" {
  for example in before after; do
    "$flytewarden" check --format json "$root/examples/$example.yaml" >report.json || [ "$?" -eq 1 ]
    run "$corpus" compare . "$(cat proxy.url)" "$root/examples/$example.yaml" <report.json
    tell
    [ "$status" -eq 0 ]
  done
}

@test "every case that can reach an API server gets the verdict of its table" {
  run "$corpus" admit . "$(cat proxy.url)"
  tell
  [ "$status" -eq 0 ]
}

@test "a Deployment can be scaled while its flyteconsole is cut off" {
  console() { # KIND
    workload "$1" flyteconsole "env: [{name: ADMIN_API_URL, value: 'https://flyte.example.com'}], $as_flyte"
  }
  # In this order nothing is rejected, since objects that are still missing only cause notices.
  taken create scaled "$(console Deployment)"
  taken create scaled "$(cors https://other.example.com)"
  taken create scaled '{apiVersion: v1, kind: Service, metadata: {name: flyteconsole}, spec: {selector: {app: flyteconsole}, ports: [{port: 80}]}}'
  taken create scaled '{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: flyteconsole}, spec: {tls: [{hosts: [console.example.com]}],
    rules: [{host: console.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: flyteconsole, port: {number: 80}}}}]}}]}}'
  within 20 is 1 scaled deployment/flyteconsole .status.availableReplicas
  within 20 refused create scaled "$(console ReplicaSet)" --dry-run=server
  taken kubectl scale --namespace scaled deployment/flyteconsole --replicas 3
  within 20 is 3 scaled deployment/flyteconsole .status.availableReplicas
}

@test "a Deployment from before the policies can be scaled, labelled, annotated and applied again" {
  # Its new pods are rejected, though.
  replicas=$(kubectl get replicaset --namespace old --selector app=flyteadmin --output name)
  taken kubectl scale --namespace old deployment/flyteadmin --replicas 2
  within 20 is 2 old "$replicas" .spec.replicas
  is 1 old deployment/flyteadmin .status.availableReplicas
  taken kubectl label --namespace old deployment/flyteadmin e2e=yes
  taken kubectl annotate --namespace old deployment/flyteadmin e2e=yes
  taken apply old "$(old_flyteadmin)"
  [[ $output == *configured* ]]
  within 20 is 1 old "$replicas" .spec.replicas
  taken apply old "$(old_flyteadmin)"
  [[ $output == *unchanged* ]]
  # Like `helm upgrade` to another version of the chart.
  taken replace old "$(old_flyteadmin | sed 's/metadata: {name: flyteadmin}/metadata: {name: flyteadmin, labels: {chart: "2"}}/')"
  taken kubectl rollout restart --namespace old deployment/flyteadmin
}

@test "a Deployment from before the policies cannot be made worse" {
  change() { # PATCH
    kubectl patch --namespace old deployment/flyteadmin --type json --patch "$1"
  }
  container=/spec/template/spec/containers
  # Adds an origin that no browser sends, adds a container as root, changes the image of the container as root.
  refused change "[{op: add, path: $container/0/command/-, value: '--server.security.allowedOrigins=https://a.example.com/'}]"
  refused change "[{op: add, path: $container/-, value: {name: another, image: 'example.com/another:1', $as_root}}]"
  refused change "[{op: replace, path: $container/0/image, value: 'example.com/flyteadmin:2'}]"
}

@test "a rollout from a bad Deployment to a good one completes" {
  taken apply old "$(workload Deployment rolling "$as_flyte")"
  taken kubectl rollout status --namespace old deployment/rolling --timeout 30s
  within 20 is 1 old deployment/rolling .status.replicas
}

@test "pods from before the policies can be labelled, and lose their finalizers" {
  pod=$(kubectl get pods --namespace old --selector app=orphaned --output name)
  taken kubectl label --namespace old "$pod" e2e=yes
  taken kubectl annotate --namespace old "$pod" e2e=yes
  taken kubectl patch --namespace old "$pod" --patch '{"metadata": {"finalizers": ["e2e.example.com/hold"]}}'
  taken kubectl patch --namespace old "$pod" --type json --patch '[{"op": "remove", "path": "/metadata/finalizers"}]'
}

@test "a Job from before the policies completes" {
  pod=$(kubectl get pods --namespace old --selector job-name=migrate --output jsonpath='{.items[0].metadata.name}')
  finish old "$pod"
  within 30 is True old job/migrate '.status.conditions[?(@.type=="Complete")].status'
  is "" old "pod/$pod" .metadata.finalizers
}

@test "pods of a ReplicaSet from before the policies can be orphaned" {
  taken kubectl delete replicaset --namespace old orphaned --cascade=orphan --timeout 30s
  [ "$(kubectl get pods --namespace old --selector app=orphaned --output jsonpath='{.items[*].metadata.ownerReferences}')" = "" ]
}

@test "a ConfigMap that is being deleted is checked, and can lose its finalizers" {
  create flyte "$(cors https://console.example.com 'finalizers: [e2e.example.com/hold], labels: {e2e: held}' | sed s/admin-base/admin/)"
  kubectl delete configmap --namespace flyte flyte-admin-config --wait=false
  refused kubectl patch configmap --namespace flyte flyte-admin-config \
    --patch '{"data": {"server.yaml": "server: {security: {allowedOrigins: [\"*\"]}}"}}'
  taken kubectl patch configmap --namespace flyte flyte-admin-config --type json --patch '[{"op": "remove", "path": "/metadata/finalizers"}]'
  within 20 is_gone flyte configmap/flyte-admin-config
}

@test "filled-in fields stay when the manifest is applied again" {
  taken apply filled "$(workload Deployment flyteadmin 'imagePullPolicy: Always')"
  within 20 is 1 filled deployment/flyteadmin .status.availableReplicas
  is 1001 filled deployment/flyteadmin .spec.template.spec.securityContext.runAsUser
  version=$(kubectl get deployment --namespace filled flyteadmin --output jsonpath='{.metadata.resourceVersion}')
  taken apply filled "$(workload Deployment flyteadmin 'imagePullPolicy: Always')"
  [[ $output == *unchanged* ]]
  is "$version" filled deployment/flyteadmin .metadata.resourceVersion
}

# Lines of text, slightly less than 1 MiB together.
large() { # CHARACTER
  yes "$1$1$1$1$1$1$1$1$1" | head --bytes 1048000
}

@test "a ConfigMap or a Secret near 1 MiB can be updated" {
  updated() { # CHARACTER CHARACTER KUBECTL-CREATE-ARGUMENT...
    large "$1" >large
    kubectl create "${@:3}" --dry-run=client --output json >old.json
    large "$2" >large
    kubectl create "${@:3}" --dry-run=client --output json >new.json
    taken kubectl create --namespace large --filename old.json
    taken kubectl label --namespace large --filename old.json e2e=yes
    taken kubectl replace --namespace large --filename new.json
  }
  updated x y configmap text --from-file=large
  updated $'\376' $'\377' configmap binary --from-file=large
  updated x y secret generic opaque --from-file=large
  updated x y secret generic sh.helm.release.v1.flyte.v1 --type=helm.sh/release.v1 --from-file=release=large
}

@test "flyteadmin's files near 1 MiB can stay unchanged, but policy-server cannot read a change to them" {
  { echo 'server: {security: {allowedOrigins: ["https://console.example.com"]}}'; large x | sed 's/^/# /' | head --bytes 1040000; } >server.yaml
  taken kubectl create configmap --namespace large flyte-admin-config --from-file=server.yaml
  taken kubectl label configmap --namespace large flyte-admin-config e2e=yes
  taken kubectl patch configmap --namespace large flyte-admin-config --patch '{"data": {"other.txt": "text"}}'
  sed -i 's/x$/y/' server.yaml
  run kubectl create configmap --namespace large flyte-admin-config --from-file=server.yaml --dry-run=client --output json
  run kubectl replace --filename - <<<"$output"
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *413* ]]
}

# A ConfigMap with many files.
many() { # NAME COUNT LENGTH-OF-KEYS VALUE
  awk -v name="$1" -v count="$2" -v digits="$(($3 - 5))" -v value="$4" 'BEGIN {
    printf "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"%s\"}, \"data\": {", name
    for (i = 0; i < count; i++) printf "%s\"%0*d.yaml\": \"%s\"", i ? ", " : "", digits, i, value
    print "}}" }'
}

@test "comparing two versions never exceeds CEL's cost limit" {
  compared() { # NAME COUNT LENGTH-OF-KEYS VALUE
    many "$@" >many.json
    taken kubectl create --namespace large --filename many.json
    taken kubectl label --namespace large --filename many.json e2e=yes
    many "$1" $(($2 - 1)) "${@:3}" >many.json
    taken kubectl replace --namespace large --filename many.json
  }
  compared long-keys 3500 253 "$(head --bytes 20 /dev/zero | tr '\0' x)"
  compared most 5000 20 "$(head --bytes 120 /dev/zero | tr '\0' x)"
  compared more 5001 10 text
  compared small 20000 10 ''
  taken create large '{apiVersion: v1, kind: ConfigMap, metadata: {name: without}}'
  taken kubectl label --namespace large configmap/without e2e=yes
  taken kubectl patch --namespace large configmap/without --patch '{"data": {"a.yaml": ""}}'
  taken kubectl patch --namespace large configmap/without --patch '{"data": null}'
}

@test "a Job of a CronJob completes" {
  taken kubectl create job --namespace flyte manual --from=cronjob/syncresources
  within 30 is True flyte job/manual '.status.conditions[?(@.type=="Complete")].status'
  # The CronJob of examples/after.yaml creates a Job each minute.
  is_scheduled() {
    kubectl get jobs --namespace flyte --output jsonpath='{range .items[*]}{.metadata.name} {.status.succeeded}{"\n"}{end}' |
      grep '^syncresources-.* 1$'
  }
  within 90 is_scheduled
}

@test "the command has the same findings in the cluster as in the cluster's manifests" {
  local of_cluster=$BATS_TEST_TMPDIR/cluster.json of_manifests=$BATS_TEST_TMPDIR/manifests.json
  local kinds=configmaps,deployments,replicasets,jobs,pods
  run -1 "$flytewarden" check --context e2e --namespaces old --format json
  echo "$output" >"$of_cluster"
  kubectl get "$kinds" --namespace old --output yaml >"$BATS_TEST_TMPDIR/old.yaml"
  run -1 "$flytewarden" check --namespaces old --format json "$BATS_TEST_TMPDIR/old.yaml"
  echo "$output" >"$of_manifests"
  python3 - "$of_cluster" "$of_manifests" <<'PYTHON'
import json, sys
found = [
    sorted([judged["kind"], judged["name"], violation["rule"]] for judged in json.load(open(file))["objects"] for violation in judged["violations"])
    for file in sys.argv[1:]
]
assert found[0] == found[1] and found[0], found
PYTHON
}
