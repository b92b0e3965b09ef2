// Runs every case in OPA's SDK for Node: node opa.mjs CASES
import { readFileSync } from "node:fs";
import opa from "@open-policy-agent/opa-wasm";

const modules = new URL("../dist/opa/", import.meta.url);
const cases = readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
const policies = {};
let failed = 0;
for (const { module: name, title, input, data, violations, warnings } of cases) {
  policies[name] ??= await opa.loadPolicy(readFileSync(new URL(`${name}.wasm`, modules)));
  policies[name].setData(data);
  // The expected answer has the number of further notices in an annotation, not in a text.
  const texts = (entrypoint) =>
    policies[name].evaluate(input, entrypoint)[0].result
      .map(({ msg }) => msg).filter((msg) => entrypoint !== "flytewarden/warn" || !msg.startsWith("... and ")).join("\n");
  const [refused, warned] = [texts("flytewarden/violation"), texts("flytewarden/warn")];
  if (refused !== violations || warned !== warnings) {
    failed += 1;
    console.error(`${title}\nexpected ${violations}\n${warnings}\ngot ${refused}\n${warned}`);
  }
}
console.log(`${cases.length - failed} passed, ${failed} failed`);
process.exitCode = failed || !cases.length ? 1 : 0;
