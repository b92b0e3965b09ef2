"""Runs every case in OPA's SDK for Python: python3 opa.py CASES"""

import json
import pathlib
import sys

from opapywasm import OpaWasmPolicy

MODULES = pathlib.Path(__file__).parent.parent / "dist/opa"

policies = {}
passed = failed = 0
for line in open(sys.argv[1], encoding="utf-8"):
    case = json.loads(line)
    name = case["module"]
    if name not in policies:
        policies[name] = OpaWasmPolicy.from_wasm_file(MODULES / f"{name}.wasm")
    policies[name].set_data(case["data"])

    def texts(entrypoint):
        found = policies[name].evaluate(case["input"], entrypoint=f"flytewarden/{entrypoint}")
        texts = (finding["msg"] for finding in found)
        # The expected answer has the number of further notices in an annotation, not in a text.
        return "\n".join(text for text in texts if entrypoint != "warn" or not text.startswith("... and "))

    if (texts("violation"), texts("warn")) == (case["violations"], case["warnings"]):
        passed += 1
    else:
        failed += 1
        print(case["title"], texts("violation"), texts("warn"), sep="\n", file=sys.stderr)
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
