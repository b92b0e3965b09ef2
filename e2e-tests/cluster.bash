# A real cluster, as far as admission goes: etcd, kube-apiserver and kube-controller-manager on loopback, and policy-server behind
# the webhooks that Kubewarden's controller makes from each policy.yaml. There are no nodes: a loop sets the status of pods like
# a kubelet.

# Starts a program in the background, with its process id in NAME.pid and its output in NAME.log.
start() { # NAME PROGRAM [OPTION...]
  "${@:2}" >"$1.log" 2>&1 3>&- &
  echo $! >"$1.pid"
}

# Waits until a started program answers at a URL.
await() { # NAME URL
  wait_for "$(cat "$1.pid")" curl --silent --fail --cacert ca.pem "$2" || { tail -20 "$1.log"; return 1; }
}

# Makes a CA, and a certificate for all servers.
make_certificates() {
  local new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2)
  openssl req -x509 "${new[@]}" -subj /CN=ca -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem
  openssl req -x509 "${new[@]}" -subj /CN=server -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE \
    -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.pem
} 2>openssl.log

kubeconfig() { # USER
  cat <<CONFIG
{apiVersion: v1, kind: Config, current-context: e2e, users: [{name: e2e, user: $1}], contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}],
 clusters: [{name: e2e, cluster: {server: "$api_server", certificate-authority: $PWD/ca.pem}}]}
CONFIG
}

# Starts everything except policy-server. Sets `api_server` to the URL, and writes the URL of a plain http proxy in front of it to
# proxy.url.
start_cluster() {
  local etcd peers port
  etcd=http://127.0.0.1:$(free_port)
  peers=http://127.0.0.1:$(free_port)
  start etcd etcd --data-dir etcd --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls "$peers" \
    --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers"
  await etcd "$etcd/health"

  port=$(free_port)
  api_server=https://127.0.0.1:$port
  echo 'token,admin,admin,"system:masters"' >tokens.csv
  # Pods need no service accounts here: more controllers would have to run to create them.
  start api-server kube-apiserver --etcd-servers "$etcd" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" \
    --tls-cert-file server.pem --tls-private-key-file server.key --token-auth-file tokens.csv --authorization-mode RBAC \
    --service-account-issuer https://e2e --service-account-key-file server.pem --service-account-signing-key-file server.key \
    --service-cluster-ip-range 10.0.0.0/24 --endpoint-reconciler-type none --disable-admission-plugins ServiceAccount
  await api-server "$api_server/readyz"
  kubeconfig '{token: token}' >admin.kubeconfig
  export KUBECONFIG=$PWD/admin.kubeconfig

  port=$(free_port)
  start controllers kube-controller-manager --kubeconfig admin.kubeconfig --leader-elect=false --bind-address 127.0.0.1 \
    --secure-port "$port" --tls-cert-file server.pem --tls-private-key-file server.key --kube-api-qps 200 --kube-api-burst 400 \
    --controllers deployment-controller,replicaset-controller,job-controller,cronjob-controller,garbage-collector-controller,namespace-controller
  await controllers "https://127.0.0.1:$port/healthz"

  start proxy kubectl proxy --port 0
  wait_for "$(cat proxy.pid)" grep '^Starting to serve on ' proxy.log
  sed -n 's#^Starting to serve on #http://#p' proxy.log >proxy.url
  start kubelet be_kubelet
}

# Ends all started programs. kube-apiserver would wait for an etcd that is gone.
stop_cluster() {
  local file
  stop_all .
  for file in *.pid; do
    for _ in $(seq 30); do
      kill -0 "$(cat "$file")" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$(cat "$file")" 2>/dev/null || true
  done
}

# Sets the status of pods like a kubelet: pods of Jobs have succeeded, others run and are ready. Pods labelled `held` wait.
be_kubelet() {
  local namespace pod job
  while sleep 0.3; do
    kubectl get pods --all-namespaces --field-selector status.phase=Pending --selector '!held' --output \
      jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name} {.metadata.labels.job-name}{"\n"}{end}' |
      while read -r namespace pod job; do
        if [ -n "$job" ]; then finish "$namespace" "$pod"; else run_pod "$namespace" "$pod"; fi
      done || true # a pod may be gone by then
  done
}

finish() { # NAMESPACE POD
  kubectl patch pod --namespace "$1" "$2" --subresource status --patch '{"status": {"phase": "Succeeded"}}'
}

run_pod() { # NAMESPACE POD
  kubectl patch pod --namespace "$1" "$2" --subresource status \
    --patch '{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}'
}

# Starts policy-server with some policies, and with those that the cases in this folder need. It has the permissions of
# policy-server-rbac.yaml.
start_policy_server() { # POLICY.YAML...
  local url readiness
  url=https://127.0.0.1:$(free_port)
  readiness=$(free_port)
  "$corpus" webhooks . "$url" ca.pem "$@"
  kubectl create namespace kubewarden
  kubectl apply --filename "$root/policies/policy-server-rbac.yaml"
  kubeconfig '{token: token, as: "system:serviceaccount:kubewarden:policy-server"}' >policy-server.kubeconfig
  mkdir modules
  KUBECONFIG=policy-server.kubeconfig start policy-server policy-server --policies policies.yml --addr 127.0.0.1 --port "${url##*:}" \
    --cert-file server.pem --key-file server.key --readiness-probe-port "$readiness" --policies-download-dir modules \
    --sigstore-cache-dir modules --workers 2 --continue-on-errors
  await policy-server "http://127.0.0.1:$readiness/readiness"
}

# Waits for a command to succeed.
within() { # SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  until "${@:2}" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "not within $1 s: ${*:2}"; return 1; }
    sleep 0.2
  done
}

# Sends an object with a verb of kubectl. kubectl takes text that starts with a brace for JSON, unless it has several documents.
create() { printf -- '---\n%s' "$2" | kubectl create --namespace "$1" "${@:3}" --filename -; } # NAMESPACE MANIFEST [OPTION...]
apply() { printf -- '---\n%s' "$2" | kubectl apply --namespace "$1" "${@:3}" --filename -; } # NAMESPACE MANIFEST [OPTION...]
replace() { printf -- '---\n%s' "$2" | kubectl replace --namespace "$1" "${@:3}" --filename -; } # NAMESPACE MANIFEST [OPTION...]

# Whether the API server accepts what a command sends, even with warnings of policies.
taken() { # COMMAND...
  run "$@"
  echo "$output"
  [ "$status" -eq 0 ]
}

# Whether a policy rejects what a command sends.
refused() { # COMMAND...
  run "$@"
  echo "$output"
  [[ $status -ne 0 && $output == *"denied the request: "* ]]
}

# Whether a field of an object has a value.
is() { # VALUE NAMESPACE KIND/NAME JSONPATH
  [ "$(kubectl get --namespace "$2" "$3" --output "jsonpath={$4}")" = "$1" ]
}

is_gone() { # NAMESPACE KIND/NAME
  [ -z "$(kubectl get --namespace "$1" "$2" --ignore-not-found --output name)" ]
}

# The manifest of a workload with one container that has the given fields.
workload() { # KIND NAME FIELDS
  echo "{apiVersion: apps/v1, kind: $1, metadata: {name: $2}, spec: {replicas: 1, selector: {matchLabels: {app: $2}},
    template: {metadata: {labels: {app: $2}}, spec: {containers: [{name: $2, image: 'example.com/$2:1', $3}]}}}}"
}

# The manifest of a Job whose pods wait.
job() { # NAME FIELDS
  echo "{apiVersion: batch/v1, kind: Job, metadata: {name: $1}, spec: {template: {metadata: {labels: {held: 'true'}},
    spec: {restartPolicy: Never, containers: [{name: $1, image: 'example.com/$1:1', $2}]}}}}"
}

# The manifest of flyteadmin's ConfigMap that allows an origin.
cors() { # ORIGIN [FIELDS-OF-METADATA]
  echo "{apiVersion: v1, kind: ConfigMap, metadata: {name: flyte-admin-base-config, ${2-}},
    data: {server.yaml: 'server: {security: {allowedOrigins: [\"$1\"]}}'}}"
}
