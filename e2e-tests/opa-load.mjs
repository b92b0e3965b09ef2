// Many decisions in one instance of OPA's SDK for Node, a large one, and one without enough memory: node opa-load.mjs
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import opa from "@open-policy-agent/opa-wasm";

const module = readFileSync(new URL("../dist/opa/flyte-non-root.wasm", import.meta.url));
const policy = await opa.loadPolicy(module);
policy.setData({});
const pod = (more) => ({
  request: {
    operation: "CREATE",
    kind: { group: "", version: "v1", kind: "Pod" },
    namespace: "flyte",
    object: {
      metadata: { name: "a", annotations: { more } },
      spec: { containers: [{ name: "a", image: "a:1", securityContext: { runAsUser: 0 } }] },
    },
  },
});
const decide = (input, by = policy) => {
  const [{ result }] = by.evaluate(input, "flytewarden/violation");
  assert.match(result[0].msg, /runs as root/);
};

for (let decision = 0; decision < 100; decision += 1) decide(pod(""));
const before = policy.mem.buffer.byteLength;
for (let decision = 0; decision < 10_000; decision += 1) decide(pod(""));
assert.equal(policy.mem.buffer.byteLength, before, "the memory of 10,000 decisions more");

decide(pod("x".repeat(3_000_000)));
console.log(`10,100 decisions in ${before / 1024} KiB, and one about 3 MB in ${policy.mem.buffer.byteLength / 1024} KiB`);

// Without memory there is no answer, and the next question gets one.
const bounded = await opa.loadPolicy(module, { initial: 5, maximum: 20 });
bounded.setData({});
for (let decision = 0; decision < 3; decision += 1) assert.throws(() => decide(pod("x".repeat(3_000_000)), bounded));
decide(pod(""), bounded);
