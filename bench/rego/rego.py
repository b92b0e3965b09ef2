"""A decision of flyte-non-root's module for OPA, beside one of a Rego policy for its first rule alone: python3 rego.py

Both on one request, in turns, from Python: the module in opa-py-wasm, the Rego in OPA's own engine for Go, which
opa-golib-python-bindings carries.
"""

import pathlib
import statistics
import time

from opa_bindings import OpaEngine
from opapywasm import OpaWasmPolicy

HERE = pathlib.Path(__file__).parent
ROUNDS = 2000

container = {"name": "flyteadmin", "image": "cr.flyte.org/flyteorg/flyteadmin:v1.16.8", "args": ["serve"]}
user = {"securityContext": {"runAsUser": 1001}}
deployments = {
    "4 containers, all as users": [{**container, **user, "name": f"c{index}"} for index in range(4)],
    "4 containers, one maybe root": [{**container, **(user if index else {}), "name": f"c{index}"} for index in range(4)],
}

module = OpaWasmPolicy.from_wasm_file(HERE.parent.parent / "dist/opa/flyte-non-root.wasm")
module.set_data({})
engine = OpaEngine()
engine.add_policy("non_root.rego", (HERE / "non_root.rego").read_text())
decisions = {
    "module": lambda request: module.evaluate(request, entrypoint="flytewarden/violation"),
    "Rego": lambda request: engine.eval_document("non_root.violation", request),
}
for title, containers in deployments.items():
    request = {
        "request": {
            "uid": "1",
            "operation": "CREATE",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "namespace": "flyte",
            "object": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "flyteadmin", "namespace": "flyte"},
                "spec": {"template": {"spec": {"containers": containers}}},
            },
        }
    }
    times = {name: [] for name in decisions}
    for _ in range(ROUNDS):
        for name, decide in decisions.items():
            start = time.perf_counter()
            found = decide(request)
            times[name].append(time.perf_counter() - start)
            assert len(found) == ("maybe" in title), (name, found)
    own, rego = (statistics.median(times[name]) * 1e6 for name in ("module", "Rego"))
    print(f"{title}: module {own:.0f} us, Rego {rego:.0f} us: ratio {own / rego:.2f}")
