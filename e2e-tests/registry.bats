#!/usr/bin/env bats
# Tests modules in an OCI registry: Debian's docker-registry on loopback.

setup_file() {
  load helpers.bash
  has docker-registry || return 0
  export folder=$BATS_FILE_TMPDIR/registry
  start_registry "$folder"
  export registry registry_pid
  push_all
}

teardown_file() {
  load helpers.bash
  stop_all "$BATS_FILE_TMPDIR"
}

setup() {
  load helpers.bash
  needs docker-registry
  fresh_cache
  reference=registry://$registry/policies/flyte-non-root:$tag
}

teardown() {
  stop_all "$BATS_TEST_TMPDIR"
}

# The number of requests to the registry that match PATTERN.
asked() { # PATTERN
  grep --count -- "$1" "$folder/log" || true
}

check() { # MODULE [OPTION...]
  run "$flytewarden" check --insecure --module "$@" "$root/examples/before.yaml"
}

@test "all modules are in the catalogue, with their tag" {
  run curl --silent "http://$registry/v2/_catalog"
  for artifact in "${artifacts[@]}"; do
    [[ $output == *"\"policies/$artifact\""* ]]
    [[ $(curl --silent "http://$registry/v2/policies/$artifact/tags/list") == *"\"$tag\""* ]]
  done
}

@test "push prints a reference by digest to the same module" {
  run "$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$registry/policies/flyte-non-root:$tag"
  [ "$status" -eq 0 ]
  [[ $output == "$registry/policies/flyte-non-root@sha256:"* ]]
  by_digest=registry://$output
  [ "$(curl --silent --head --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://$registry/v2/policies/flyte-non-root/manifests/$tag" | tr -d '\r' | sed -n 's/^Docker-Content-Digest: //p')" = "${output#*@}" ]
  check "$by_digest"
  [ "$status" -eq 1 ]
  [[ $output == *flyte-non-root/runs-as-root* ]]
}

@test "check prints the digest of a tag" {
  check "$reference"
  [[ $output == "$reference is $registry/policies/flyte-non-root@sha256:"* ]]
}

# The test with skopeo compares the bytes of the other modules.
@test "a module from a registry gives the same verdicts as from a file" {
  artifact=flyte-non-root
  from_file=$("$flytewarden" check --module "$root/dist/$artifact.wasm" "$root/examples/before.yaml") || true
  from_registry=$("$flytewarden" check --insecure --module "registry://$registry/policies/$artifact:$tag" \
    "$root/examples/before.yaml" 2>/dev/null) || true
  [ -n "$from_file" ]
  [ "$from_file" = "$from_registry" ]
}

@test "skopeo reads the media types, the annotations and the same bytes" {
  needs skopeo
  for artifact in "${artifacts[@]}"; do
    run skopeo inspect --raw --tls-verify=false "docker://$registry/policies/$artifact:$tag"
    [ "$status" -eq 0 ]
    [[ $output == *'"config":{"mediaType":"application/vnd.wasm.config.v1+json"'* ]]
    [[ $output == *'"layers":[{"mediaType":"application/vnd.wasm.content.layer.v1+wasm","digest":"'$(digest "$artifact")'"'* ]]
    [[ $output == *'"io.kubewarden.policy.title":"'$artifact'"'* ]]
    [[ $output == *'"org.opencontainers.image.source":"https://'* ]]
    [[ $output != *io.kubewarden.policy.usage* ]]
    skopeo copy --quiet --src-tls-verify=false "docker://$registry/policies/$artifact:$tag" "dir:$BATS_TEST_TMPDIR/$artifact"
    sha=$(digest "$artifact")
    cmp "$root/dist/$artifact.wasm" "$BATS_TEST_TMPDIR/$artifact/${sha#sha256:}"
  done
}

@test "a bundle for OPA is the tarball that OPA looks for" {
  bundle=$root/dist/opa/flyte-non-root.tar.gz
  run "$flytewarden" push --insecure "$bundle" "$registry/policies/opa/flyte-non-root:$tag"
  [ "$status" -eq 0 ]
  [[ $output == "$registry/policies/opa/flyte-non-root@sha256:"* ]]
  digest=sha256:$(sha256sum "$bundle" | cut -d " " -f 1)
  manifest=$(curl --silent --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://$registry/v2/policies/opa/flyte-non-root/manifests/$tag")
  [[ $manifest == *'"config":{"mediaType":"application/vnd.oci.image.config.v1+json"'* ]]
  [[ $manifest == *'"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"'$digest'"'* ]]
  cmp "$bundle" <(curl --silent "http://$registry/v2/policies/opa/flyte-non-root/blobs/$digest")
}

@test "push does not send a blob that the registry already has" {
  before=$(asked 'http.request.method=POST')
  [ "$before" -gt 0 ]
  "$flytewarden" push --insecure "$root/dist/flyte-oauth-tls.wasm" "$registry/policies/flyte-oauth-tls:again"
  [ "$(asked 'http.request.method=POST')" -eq "$before" ]
}

@test "a module is downloaded once, even for several processes at once" {
  before=$(asked 'http.request.method=GET .*blobs/sha256')
  for number in 1 2 3 4; do
    "$flytewarden" check --insecure --module "$reference" "$root/examples/before.yaml" >"$BATS_TEST_TMPDIR/$number" 2>/dev/null &
    pids[number]=$!
  done
  for number in 1 2 3 4; do
    code=0
    wait "${pids[number]}" || code=$?
    [ "$code" -eq 1 ]
    cmp "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/$number"
  done
  [ "$(asked 'http.request.method=GET .*blobs/sha256')" -eq $((before + 1)) ]
}

@test "an interrupted download resumes where it stopped" {
  sha=$(digest flyte-non-root)
  mkdir -p "$XDG_CACHE_HOME/flytewarden/sha256"
  head --bytes 100000 "$root/dist/flyte-non-root.wasm" >"$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}.partial"
  check "$reference"
  [ "$status" -eq 1 ]
  size=$(stat --format %s "$root/dist/flyte-non-root.wasm")
  grep --quiet "blobs/$sha.* http.response.status=206 http.response.written=$((size - 100000))" "$folder/log"
  cmp "$root/dist/flyte-non-root.wasm" "$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}"
}

@test "a cached module with a digest needs no registry, and is verified" {
  start_registry "$BATS_TEST_TMPDIR/registry"
  immutable=$("$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$registry/policy:v1")
  check "registry://$immutable"
  [ "$status" -eq 1 ]
  kill "$registry_pid"
  check "registry://$immutable"
  [ "$status" -eq 1 ]
  sha=$(digest flyte-non-root)
  printf 'x' >>"$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}"
  check "registry://$immutable"
  [ "$status" -eq 2 ]
  [[ $output == *"cannot be reached"* ]]
}

@test "a tampered blob is rejected" {
  start_registry "$BATS_TEST_TMPDIR/registry"
  "$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$registry/policy:v1"
  blob=$(blob "$BATS_TEST_TMPDIR/registry" "$(digest flyte-non-root)")
  printf 'tampered' | dd of="$blob" bs=1 seek=1000 conv=notrunc status=none
  check "registry://$registry/policy:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"its digest differs: expected $(digest flyte-non-root), but the registry sent sha256:"* ]]
  [ -z "$(find "$XDG_CACHE_HOME" -name '*.partial')" ]

  truncate --size 1000 "$blob"
  check "registry://$registry/policy:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"the module has 1000 bytes, but its manifest says "* ]]
  [ -z "$(find "$XDG_CACHE_HOME" -name '*.partial')" ]

  truncate --size 10M "$blob"
  check "registry://$registry/policy:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"the module is longer than the "*" bytes its manifest says"* ]]
}

@test "a damaged partial download is fetched again" {
  sha=$(digest flyte-non-root)
  mkdir -p "$XDG_CACHE_HOME/flytewarden/sha256"
  printf 'tampered' >"$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}.partial"
  check "$reference"
  [ "$status" -eq 1 ]
  cmp "$root/dist/flyte-non-root.wasm" "$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}"
}

@test "the next attempt resumes a download that the registry interrupted" {
  start_registry "$BATS_TEST_TMPDIR/registry"
  "$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$registry/policy:v1"
  sha=$(digest flyte-non-root)
  partial=$XDG_CACHE_HOME/flytewarden/sha256/${sha#sha256:}.partial
  mkdir -p "$(dirname "$partial")"
  head --bytes 5000 "$root/dist/flyte-non-root.wasm" >"$partial"
  blob=$(blob "$BATS_TEST_TMPDIR/registry" "$sha")
  mv "$blob" "$blob.away"
  check "registry://$registry/policy:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"the download stopped after 5000 of "*", and the next try continues there: "* ]]
  mv "$blob.away" "$blob"
  check "registry://$registry/policy:v1"
  [ "$status" -eq 1 ]
}

@test "a missing module is reported as missing" {
  for name in "policies/flyte-non-root:none" policies/none:v1 "policies/flyte-non-root@$(digest flytewarden)"; do
    check "registry://$registry/$name"
    [ "$status" -eq 2 ]
    [[ $output == "error: module registry://$registry/$name: $registry has no $registry/$name (404)" ]]
  done
}

@test "an image is rejected as a policy" {
  layer=$(printf layer | sha256sum | cut -d' ' -f1)
  location=$(curl --silent --include --request POST "http://$registry/v2/image/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //p')
  curl --silent --fail --request PUT --data-binary layer --header 'Content-Type: application/octet-stream' "$location&digest=sha256:$layer"
  type=application/vnd.oci.image.layer.v1.tar+gzip
  blob='"digest": "sha256:'$layer'", "size": 5'
  curl --silent --fail --request PUT --header 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data "{\"schemaVersion\": 2,
    \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",
    \"config\": {\"mediaType\": \"application/vnd.oci.image.config.v1+json\", $blob}, \"layers\": [{\"mediaType\": \"$type\", $blob}]}" \
    "http://$registry/v2/image/manifests/v1"
  check "registry://$registry/image:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"it is not a Kubewarden policy: its media type is $type, but must be "* ]]
}

@test "a registry that requires credentials gets those of docker login" {
  # The user and the password are both "warden"; the registry accepts only bcrypt.
  printf '%s\n' 'warden:$2b$05$IgLiSkGD7K./Rbexxqa3o.T7k3HUF8MWN2oqxry.xEx4BtSyztyzG' >"$BATS_TEST_TMPDIR/htpasswd"
  start_registry "$BATS_TEST_TMPDIR/registry" "auth: {htpasswd: {realm: e2e, path: $BATS_TEST_TMPDIR/htpasswd}}"
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker
  mkdir "$DOCKER_CONFIG"
  push=("$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$registry/policy:v1")
  run "${push[@]}"
  [ "$status" -eq 2 ]
  [[ $output == *"$registry denied access (401), and there are no credentials for it: "*"; run \`docker login $registry\`" ]]
  for password in wrong warden; do
    echo "{\"auths\": {\"$registry\": {\"auth\": \"$(printf 'warden:%s' "$password" | base64)\"}}}" >"$DOCKER_CONFIG/config.json"
    run "${push[@]}"
    [[ $password == warden || ($status -eq 2 && $output == *"with the credentials of warden in Docker's configuration" ) ]]
  done
  [ "$status" -eq 0 ]
  check "registry://$registry/policy:v1"
  [ "$status" -eq 1 ]
}

@test "a registry over TLS needs a certificate that the machine trusts" {
  needs openssl
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=e2e -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$BATS_TEST_TMPDIR/key.pem" -out "$BATS_TEST_TMPDIR/certificate.pem" 2>/dev/null
  start_registry "$BATS_TEST_TMPDIR/registry" \
    "  tls: {certificate: $BATS_TEST_TMPDIR/certificate.pem, key: $BATS_TEST_TMPDIR/key.pem}" https
  run "$flytewarden" push "$root/dist/flyte-non-root.wasm" "$registry/policy:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"$registry cannot be reached: "*certificate* ]]
  export SSL_CERT_FILE=$BATS_TEST_TMPDIR/certificate.pem
  "$flytewarden" push "$root/dist/flyte-non-root.wasm" "$registry/policy:v1"
  run "$flytewarden" check --module "registry://$registry/policy:v1" "$root/examples/after.yaml"
  [ "$status" -eq 0 ]
}

@test "plain http needs --insecure" {
  run "$flytewarden" check --module "$reference" "$root/examples/before.yaml"
  [ "$status" -eq 2 ]
  [[ $output == *"cannot be reached"*"for a registry over plain http, use \`--insecure\`" ]]
}

@test "a module without metadata is not pushed" {
  printf '\0asm\1\0\0\0' >"$BATS_TEST_TMPDIR/bare.wasm"
  run "$flytewarden" push --insecure "$BATS_TEST_TMPDIR/bare.wasm" "$registry/bare:v1"
  [ "$status" -eq 2 ]
  [[ $output == *"it has no metadata"* ]]
  for reference in "$registry/UPPER:v1" "$registry/policy@$(digest flyte-non-root)" ''; do
    run "$flytewarden" push --insecure "$root/dist/flyte-non-root.wasm" "$reference"
    [ "$status" -eq 2 ]
  done
}
