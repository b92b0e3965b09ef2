#!/usr/bin/env bats
# Tests reports for other programs, and manifests for kubectl.

bats_require_minimum_version 1.5.0

setup() {
  load helpers.bash
}

# Validates the SARIF on standard input against its schema.
validate() {
  node "$root/e2e-tests/sarif.mjs"
}

@test "SARIF is valid against the schema of 2.1.0" {
  needs node
  [ -d "$root/e2e-tests/node_modules" ] || skip "npm has installed no schema"
  cd "$root"
  printf 'a: [\n' >"$BATS_TEST_TMPDIR/no yaml ü.yaml"
  for arguments in examples/before.yaml examples/after.yaml "examples $BATS_TEST_TMPDIR" "--module dist/flytewarden.wasm examples"; do
    run --separate-stderr "$flytewarden" check --format sarif $arguments
    validate <<<"$output"
  done
  [[ $output == *'"ruleId": "flyte-non-root/runs-as-root"'* ]]
  # The schema does reject invalid SARIF.
  run validate <<<"${output/\"level\": \"error\"/\"level\": \"bad\"}"
  [ "$status" -eq 1 ]
}

@test "JUnit is XML, with a failure for each rejected object" {
  needs python3
  cd "$root"
  run "$flytewarden" check --format junit examples/before.yaml
  [ "$status" -eq 1 ]
  python3 -c '
import sys, xml.etree.ElementTree as xml
suites = xml.fromstring(sys.stdin.read())
cases = suites.findall("testsuite/testcase")
failed = [case for case in cases if case.find("failure") is not None]
assert len(failed) == int(suites.get("failures")) > 0 and len(cases) == int(suites.get("tests")) > len(failed)
' <<<"$output"
}

@test "kubectl builds the policies to apply" {
  needs kubectl
  run kubectl kustomize "$root/policies"
  [ "$status" -eq 0 ]
  # The policy that also asks for images replaces another, so kustomization.yaml leaves it out.
  applied=$(printf '%s\n' "${policies[@]}" | grep --count --invert-match -- '-image-user$')
  [ "$(grep --count '^kind: ClusterAdmissionPolicy$' <<<"$output")" -eq "$applied" ]
}
