#!/usr/bin/env bats
# Tests Kubewarden's policy-server, with all modules from a registry.

setup_file() {
  load helpers.bash
  has policy-server docker-registry python3 || return 0
  cd "$BATS_FILE_TMPDIR"
  start_registry "$BATS_FILE_TMPDIR/registry"
  export registry registry_pid
  push_all
  output=$("$corpus" export . "$registry/policies" "$tag")
  tell
  echo "insecure_sources: [\"$registry\"]" >sources.yml
  start_policy_server server --ignore-kubernetes-connection-failure
}

teardown_file() {
  load helpers.bash
  stop_all "$BATS_FILE_TMPDIR"
}

setup() {
  load helpers.bash
  needs policy-server docker-registry python3
  cd "$BATS_FILE_TMPDIR"
  url=$(cat server.url)
}

# Writes the server's address to NAME.url and its process id to NAME.pid.
start_policy_server() { # NAME [OPTION...]
  local name=$1 port readiness
  port=$(free_port)
  readiness=$(free_port)
  mkdir -p "$name"
  policy-server --policies policies.yml --sources-path sources.yml --addr 127.0.0.1 --port "$port" \
    --readiness-probe-port "$readiness" --policies-download-dir "$PWD/$name" --sigstore-cache-dir "$PWD/$name" --workers 2 \
    --continue-on-errors "${@:2}" >"$name.log" 2>&1 3>&- &
  echo $! >"$name.pid"
  wait_for $! curl --silent --fail "http://127.0.0.1:$readiness/readiness" || { tail "$name.log"; return 1; }
  echo "http://127.0.0.1:$port" >"$name.url"
}

# Prints the server's memory.
memory() { # WHEN
  echo "# policy-server has $(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$(cat server.pid)/status") at $1" >&3
}

@test "every case that has no cluster gets the verdict of its table" {
  run "$corpus" review . "$url"
  tell
  [ "$status" -eq 0 ]
}

@test "every case that has a cluster gets the verdict of its table" {
  port=$(free_port)
  python3 "$root/e2e-tests/api-server.py" "$port" >api-server.log 2>&1 3>&- &
  echo $! >api-server.pid
  wait_for $! curl --silent --fail "http://127.0.0.1:$port/version"
  cat >kubeconfig <<CONFIG
{apiVersion: v1, kind: Config, current-context: e2e, users: [{name: e2e, user: {}}],
 clusters: [{name: e2e, cluster: {server: "http://127.0.0.1:$port"}}], contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]}
CONFIG
  KUBECONFIG=kubeconfig start_policy_server cluster
  run "$corpus" review . "$(cat cluster.url)" "http://127.0.0.1:$port"
  tell
  [ "$status" -eq 0 ]
}

# 10,000 requests, or the number in FLYTEWARDEN_REQUESTS.
@test "many requests from 16 connections get no wrong answer" {
  half=$((${FLYTEWARDEN_REQUESTS:-10000} / 2))
  for part in "the start" "the middle"; do
    memory "$part"
    run "$corpus" load . "$url" "$half" 16
    tell
    [ "$status" -eq 0 ]
  done
  memory "the end"
}

@test "malformed bodies are rejected, and the server keeps running" {
  head --bytes 1048576 /dev/zero >zeros
  for body in '' '{' '[]' '{"request": null}' '{"request": {}}' @zeros; do
    code=$(curl --silent --output answer --write-out '%{http_code}' --header 'Content-Type: application/json' --data "$body" \
      "$url/validate/flyte-non-root-0" || true)
    [ "$code" -ge 400 ]
    [ "$code" -lt 500 ]
  done
  code=$(curl --silent --output answer --write-out '%{http_code}' --header 'Content-Type: application/json' --data '{}' "$url/validate/none")
  [ "$code" -ge 400 ]
  "$corpus" load . "$url" 100 1
}

@test "the server gives the same answers after a restart" {
  pid=$(cat server.pid)
  kill "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  ! kill -0 "$pid" 2>/dev/null || return 1
  start_policy_server server --ignore-kubernetes-connection-failure
  "$corpus" load . "$(cat server.url)" 500 4
}
