# Code that the tests share: paths, and servers on loopback that end with the test file that started them.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
flytewarden=$root/target/release/flytewarden
corpus=$root/target/release/corpus
policies=()
for own in "$root"/policies/*/; do policies+=("$(basename "$own")"); done
artifacts=("${policies[@]}" flytewarden)
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
tag=v$version

# Whether programs are on PATH.
has() { # PROGRAM...
  local program
  for program in "$@"; do command -v "$program" >/dev/null || return 1; done
}

# Skips the test if a program is not on PATH; e2e-tests/run lists it at the end.
needs() { # PROGRAM...
  local program
  for program in "$@"; do has "$program" || skip "$program is not on PATH"; done
}

# A free port.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# Waits up to 60 s for a command to succeed, while a process lives.
wait_for() { # PID COMMAND...
  local pid=$1
  shift
  for _ in $(seq 600); do
    "$@" >/dev/null 2>&1 && return
    kill -0 "$pid" || return 1
    sleep 0.1
  done
  return 1
}

# Starts Debian's docker-registry with its blobs in FOLDER; further lines are added to its configuration. Sets `registry`
# to its host and port, and `registry_pid`.
start_registry() { # FOLDER [LINES]
  local port
  port=$(free_port)
  registry=localhost:$port
  mkdir -p "$1"
  cat >"$1/config.yml" <<CONFIG
version: 0.1
log: {level: info, fields: {service: registry}}
storage: {filesystem: {rootdirectory: $1/data}}
http:
  addr: 127.0.0.1:$port
${2-}
CONFIG
  docker-registry serve "$1/config.yml" >"$1/log" 2>&1 3>&- &
  registry_pid=$!
  echo "$registry_pid" >"$1/pid"
  wait_for "$registry_pid" curl --silent --insecure "${3-http}://$registry/v2/"
}

# Ends the processes whose ids are in FOLDER/*.pid or FOLDER/*/pid, if they still run.
stop_all() { # FOLDER
  local file
  for file in "$1"/*.pid "$1"/*/pid; do
    if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
  done
}

# The file of a blob of the registry in FOLDER.
blob() { # FOLDER DIGEST
  local digits=${2#sha256:}
  echo "$1/data/docker/registry/v2/blobs/sha256/${digits:0:2}/$digits/data"
}

# The digest of an artifact's module.
digest() { # ARTIFACT
  echo "sha256:$(sha256sum "$root/dist/$1.wasm" | cut -d' ' -f1)"
}

# An empty cache folder for downloads.
fresh_cache() {
  export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
}

push_all() {
  local artifact
  for artifact in "${artifacts[@]}"; do
    "$flytewarden" push --insecure "$root/dist/$artifact.wasm" "$registry/policies/$artifact:$tag"
  done
}

# Pushes an image with a USER and without layers as NAME:1, an index with it as NAME:index, and an index with it only for another
# platform as NAME:elsewhere.
push_image() { # NAME USER
  local config digest location manifest here tagged platform index at=http://$registry/v2/$1
  case $(uname -m) in aarch64) here=arm64 ;; *) here=amd64 ;; esac
  config="{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"$2\"},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"
  digest=sha256:$(printf %s "$config" | sha256sum | cut -d' ' -f1)
  location=$(curl --silent --fail --request POST --output /dev/null --write-out '%header{location}' "$at/blobs/uploads/")
  curl --silent --fail --request PUT --header 'Content-Type: application/octet-stream' --data-raw "$config" "$location&digest=$digest"
  manifest=$(described vnd.oci.image.config.v1+json "$config")
  manifest="{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":$manifest,\"layers\":[]}"
  curl --silent --fail --request PUT --header 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-raw "$manifest" "$at/manifests/1"
  manifest=$(described vnd.oci.image.manifest.v1+json "$manifest")
  for tagged in "index $here" "elsewhere s390x"; do
    platform=",\"platform\":{\"os\":\"linux\",\"architecture\":\"${tagged#* }\"}}"
    index="{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[${manifest%\}}$platform]}"
    curl --silent --fail --request PUT --header 'Content-Type: application/vnd.oci.image.index.v1+json' --data-raw "$index" \
      "$at/manifests/${tagged% *}"
  done
}

# The descriptor of a content, for a manifest.
described() { # TYPE CONTENT
  printf '{"mediaType":"application/%s","digest":"sha256:%s","size":%d}' "$1" "$(printf %s "$2" | sha256sum | cut -d' ' -f1)" "${#2}"
}

# Prints the corpus's answer, and the numbers of skipped cases to the terminal.
tell() {
  echo "$output"
  grep '^SKIPPED' <<<"$output" | cut --delimiter : --fields 1 | sort | uniq --count | sed 's/^/# /' >&3 || true
  echo "# $(tail -1 <<<"$output")" >&3
}
