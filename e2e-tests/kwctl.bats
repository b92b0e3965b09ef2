#!/usr/bin/env bats
# Tests Kubewarden's kwctl, with the released modules from files and from a registry.

setup_file() {
  load helpers.bash
  has kwctl docker-registry python3 || return 0
  export folder=$BATS_FILE_TMPDIR
  start_registry "$folder/registry"
  export registry registry_pid
  push_all
  echo "insecure_sources: [\"$registry\"]" >"$folder/sources.yml"
  output=$("$corpus" export "$folder/corpus" "$registry/policies" "$tag")
  tell
}

teardown_file() {
  load helpers.bash
  stop_all "$BATS_FILE_TMPDIR"
}

setup() {
  load helpers.bash
  needs kwctl docker-registry python3
  # kwctl keeps pulled modules; each test has its own folders for them.
  export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache XDG_DATA_HOME=$BATS_TEST_TMPDIR/data XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
  sources=$folder/sources.yml
}

# Whether two texts are the same, and not empty.
same() { # TEXT TEXT
  [ -n "$1" ]
  diff <(echo "$1") <(echo "$2")
}

# The folder of an artifact's metadata.
folder_of() { # ARTIFACT
  if [ "$1" = flytewarden ]; then echo "$root"; else echo "$root/policies/$1"; fi
}

@test "kwctl annotates a module with the same metadata as the build" {
  for artifact in "${artifacts[@]}"; do
    kwctl annotate -m "$(folder_of "$artifact")/metadata.yml" -u "$(folder_of "$artifact")/README.md" \
      -o "$BATS_TEST_TMPDIR/annotated.wasm" "$root/target/bare/$artifact.wasm"
    built=$(kwctl inspect --output yaml "$root/dist/$artifact.wasm")
    annotated=$(kwctl inspect --output yaml "$BATS_TEST_TMPDIR/annotated.wasm")
    # kwctl adds its own version.
    same "$built" "$(grep -v '^  io.kubewarden.kwctl:' <<<"$annotated")"
  done
}

@test "kwctl inspect shows a module's origin" {
  for artifact in "${artifacts[@]}"; do
    run kwctl inspect "$root/dist/$artifact.wasm"
    [ "$status" -eq 0 ]
    for shown in "$artifact" "$version" "The Flytewarden authors" Apache-2.0 https://github.com/ "minimum kubewarden version"; do
      [[ $output == *"$shown"* ]]
    done
  done
}

@test "kwctl pulls a module that flytewarden pushed, and the other way round" {
  kwctl pull --sources-path "$sources" --output-path "$BATS_TEST_TMPDIR/pulled.wasm" "registry://$registry/policies/flyte-non-root:$tag"
  cmp "$root/dist/flyte-non-root.wasm" "$BATS_TEST_TMPDIR/pulled.wasm"
  kwctl push --sources-path "$sources" "$root/dist/flyte-non-root.wasm" "$registry/by-kwctl:v1"
  run "$flytewarden" check --insecure --module "registry://$registry/by-kwctl:v1" "$root/examples/before.yaml"
  [ "$status" -eq 1 ]
  [[ $output == *flyte-non-root/runs-as-root* ]]
  # Both write the same manifest, except that ours has a media type, as OCI requires.
  manifest() {
    curl --silent --fail --header 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/$1" >manifest.json
    python3 -c 'import json; manifest = json.load(open("manifest.json")); manifest.pop("mediaType", 0)
print(json.dumps(manifest, indent=1, sort_keys=True))'
  }
  cd "$BATS_TEST_TMPDIR"
  ours=$(manifest "policies/flyte-non-root/manifests/$tag")
  theirs=$(manifest by-kwctl/manifests/v1)
  same "$ours" "$theirs"
}

@test "the committed packages equal kwctl's for Artifact Hub" {
  for artifact in "${artifacts[@]}"; do
    own=$(folder_of "$artifact")
    made=$(kwctl scaffold artifacthub -m "$own/metadata.yml" -q "$own/questions-ui.yml")
    same "$(grep -v '^createdAt:' <<<"$made")" "$(grep -v '^createdAt:' "$own/artifacthub-pkg.yml")"
  done
}

@test "the committed policy.yaml files equal kwctl's, except what a person decides" {
  needs kubectl
  for artifact in "${artifacts[@]}"; do
    kwctl scaffold manifest -t ClusterAdmissionPolicy --allow-context-aware --sources-path "$sources" \
      "registry://$registry/policies/$artifact:$tag" >"$BATS_TEST_TMPDIR/made.yaml"
    cp "$(folder_of "$artifact")/policy.yaml" "$BATS_TEST_TMPDIR/committed.yaml"
    for file in made committed; do
      printf 'resources: [%s.yaml]\n' "$file" >"$BATS_TEST_TMPDIR/kustomization.yaml"
      normal=$(kubectl kustomize "$BATS_TEST_TMPDIR")
      sed '/^  matchConditions:/,/^  mode:/d; /^  mode:/d; /^  mutating:/d; /^  backgroundAudit:/d; /^  module:/d; /^  namespaceSelector:/,/^      - /d; /^  settings:/,$d' \
        <<<"$normal" \
        >"$BATS_TEST_TMPDIR/$file.normal"
    done
    same "$(cat "$BATS_TEST_TMPDIR/made.normal")" "$(cat "$BATS_TEST_TMPDIR/committed.normal")"
  done
}

@test "the examples to paste in the READMEs are rejected, with a reason" {
  cd "$BATS_TEST_TMPDIR"
  push_image library/nginx ""
  for policy in "${policies[@]}"; do
    sed -n '/^## Try it/,$p' "$root/policies/$policy/README.md" | sed -n '/^```console$/,/^```$/p' | grep -v '^```' |
      sed "s#docker.io/library/nginx:[0-9.]*#$registry/library/nginx:1#; s#ghcr.io/[a-z]*/policies#$registry/policies#g; s#^kwctl \(pull\|run\)#kwctl \1 --sources-path $sources#" >paste
    [ "$(grep --count "$registry/policies" paste)" -eq 2 ]
    run bash -e paste
    [ "$status" -eq 0 ]
    [[ $output == *'"allowed":false'* ]]
    # The module that also asks for images is the same policy.
    [[ $output == *"\\\"policy\\\":\\\"${policy%-image-user}\\\""* ]]
  done
}

@test "kwctl asks a registry for the user of an image" {
  cd "$BATS_TEST_TMPDIR"
  says() { # IMAGE runAsNonRoot TEXT
    echo "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: flyte}, spec: {containers: [{name: a, image: '$registry/$1', securityContext: {runAsNonRoot: $2}}]}}" >object.yaml
    kwctl scaffold admission-request --operation CREATE --object object.yaml >request.json
    run kwctl run --sources-path "$sources" --settings-json '{"imageUser": "check"}' --request-path request.json \
      "$root/dist/flyte-non-root-image-user.wasm"
    echo "$output"
    [[ $output == *"$3"* ]]
  }
  push_image number 1001:1001
  push_image name flyte
  push_image root 0
  push_image none ""
  says number:1 false "runs as 1001:1001 only because of its image's USER"
  says number:1 true '"allowed":true'
  says name:1 false "the image's USER is the name flyte"
  says name:1 true "never starts: runAsNonRoot: true needs an image whose USER is a number"
  says root:1 false "it uses an image with USER 0"
  says root:1 true "never starts: the kubelet rejects an image with USER 0"
  says none:1 false "it uses an image without a USER"
  says number:index false "runs as 1001:1001 only because of its image's USER"
  says number:elsewhere false "It could not be checked: the image is a multi-platform index, and the policy engine picked no image from it ("
  says absent:1 false "It could not be checked: "
}

@test "every case gets the verdict of its table" {
  run "$corpus" kwctl "$folder/corpus"
  tell
  [ "$status" -eq 0 ]
}
