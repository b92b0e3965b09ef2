#!/usr/bin/env bats
# Tests the modules for OPA in OPA's SDKs, and in Kubewarden's modes for OPA's policies. The SDK for Rust runs in `cargo test`.

setup_file() {
  load helpers.bash
  export cases=$BATS_FILE_TMPDIR/opa.jsonl
  output=$("$corpus" opa "$cases")
  tell
}

setup() {
  load helpers.bash
}

@test "OPA's SDK for Node answers every case" {
  needs node
  run node "$root/e2e-tests/opa.mjs" "$cases"
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "10,000 decisions in one instance take no more memory than 100" {
  needs node
  run node "$root/e2e-tests/opa-load.mjs"
  echo "$output"
  [ "$status" -eq 0 ]
}

@test "OPA's SDK for Python answers every case" {
  needs python3
  python3 -m venv "$BATS_TEST_TMPDIR/venv" && "$BATS_TEST_TMPDIR/venv/bin/pip" install --quiet opa-py-wasm==1.2.1 ||
    skip "PyPI's opa-py-wasm cannot be installed"
  run "$BATS_TEST_TMPDIR/venv/bin/python" "$root/e2e-tests/opa.py" "$cases"
  echo "$output"
  [ "$status" -eq 0 ]
}

# A request about a pod.
pod() { # USER
  printf '{"uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"}, "userInfo": {}, "operation": "CREATE", "namespace": "flyte", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a:1", "securityContext": {"runAsUser": %s}}]}}}' "$1"
}

@test "OPA itself answers with a bundle, on the command line and as a server over HTTPS" {
  needs opa curl openssl
  opa version | grep --quiet 'WebAssembly: available' || skip "opa is built without WebAssembly"
  cd "$BATS_TEST_TMPDIR"
  bundle=$root/dist/opa/flyte-non-root.tar.gz
  printf '{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": %s}' "$(pod 0)" >root.json
  printf '{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": %s}' "$(pod 1000)" >user.json
  [[ $(opa eval --format raw --bundle "$bundle" --input root.json data.flytewarden.violation) == *'runs as root'* ]]
  [[ $(opa eval --format raw --bundle "$bundle" --input user.json data.flytewarden.violation) == '[]' ]]
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost
  port=$(free_port)
  opa run --server --addr "localhost:$port" --tls-cert-file cert.pem --tls-private-key-file key.pem \
    --bundle "$bundle" --set default_decision=flytewarden/admission >server.log 2>&1 3>&- &
  wait_for $! curl --silent --fail --cacert cert.pem "https://localhost:$port/health?bundles"
  ask() { curl --silent --cacert cert.pem --data "@$1" "https://localhost:$port/"; }
  [[ $(ask root.json) == *'"allowed":false'*'"uid":"1"'* ]]
  [[ $(ask user.json) == *'"allowed":true'*'"uid":"1"'* ]]
  kill %1
}

@test "kwctl runs the modules in Kubewarden's modes gatekeeper and opa" {
  needs kwctl
  cd "$BATS_TEST_TMPDIR"
  rules='rules: [{apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE]}]'
  for mode in gatekeeper opa; do
    printf '%s\nmutating: false\nbackgroundAudit: true\ncontextAwareResources: []\nexecutionMode: %s\n' "$rules" "$mode" >metadata.yml
    kwctl annotate -m metadata.yml -o "$mode.wasm" "$root/dist/opa/flyte-non-root.wasm"
  done
  pod 0 >root.json
  pod 1000 >user.json
  answers() { # MODULE REQUEST SETTINGS
    kwctl run --request-path "$2" --settings-json "$3" "$1"
  }
  [[ $(answers gatekeeper.wasm root.json '{}') == *'"allowed":false'*'runs as root'* ]]
  [[ $(answers gatekeeper.wasm user.json '{}') == *'"allowed":true'* ]]
  [[ $(answers gatekeeper.wasm user.json '{"levle": 1}') == *'"allowed":false'*'unknown field'* ]]
  review='{"flytewarden": {"answer": "review"}}'
  [[ $(answers opa.wasm root.json "$review") == *'"allowed":false'*'runs as root'* ]]
  [[ $(answers opa.wasm user.json "$review") == *'"allowed":true'* ]]
  # Without it Kubewarden gets an answer that it cannot read, and rejects the request.
  [[ $(answers opa.wasm user.json '{}') == *'"allowed":false'* ]]
}
