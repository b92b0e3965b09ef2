// The npm package in Node: its reports on the examples and on every case equal the command's.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { rootCertificates } from "node:tls";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { stringify } from "yaml";

import { FlytewardenError, check, fix, loadFormats, mend, policies, validateSettings } from "../../dist/npm/node.js";
import * as pki from "../../dist/npm/pki/node.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (name) => readFileSync(root + name, "utf8");
const BEFORE = read("examples/before.yaml");
const CASES = run("corpus", "reports").trim().split("\n").map((line) => JSON.parse(line));

/** A module of the package. */
function module(name) {
  return readFileSync(`${root}dist/npm/${name}/${name}_bg.wasm`);
}

/** The output of a program of the workspace, with any exit code. */
function run(program, ...parameters) {
  const options = { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] };
  try {
    return execFileSync(`${root}target/release/${program}`, parameters, options);
  } catch (error) {
    if (typeof error.stdout === "string" && error.stdout !== "") return error.stdout;
    throw error;
  }
}

/** Runs the package's own command. */
function npx(parameters, input = "") {
  return spawnSync(process.execPath, [`${root}dist/npm/bin.js`, ...parameters], { cwd: root, encoding: "utf8", input });
}

for (const name of ["examples/before.yaml", "examples/after.yaml"]) {
  test(`the report on ${name} is the command's`, () => {
    const report = JSON.parse(run("flytewarden", "check", "--format", "json", name));
    assert.deepEqual(check([{ name, text: read(name) }]), report);
  });
}

const FORMATS = ["text", "markdown", "json", "sarif", "junit"];

for (const format of FORMATS) {
  test(`npx flytewarden check prints the same ${format} as the command`, () => {
    for (const names of [["examples/before.yaml"], ["examples/after.yaml"], ["deny.toml", "examples/after.yaml"]]) {
      const ours = npx(["check", "--format", format, ...names]);
      assert.equal(ours.stdout, run("flytewarden", "check", "--format", format, ...names), names[0]);
      assert.equal(ours.status, { "examples/before.yaml": 1, "examples/after.yaml": 0 }[names[0]] ?? 2, ours.stderr);
    }
  });
}

test("npx flytewarden takes standard input, settings and a level, and explains wrong options", () => {
  assert.equal(npx(["check", "-"], BEFORE).status, 1);
  assert.equal(npx(["check", "--fail-on", "never", "-"], BEFORE).status, 0);
  assert.match(npx(["--version"]).stdout, /^flytewarden \d/);
  assert.match(npx(["--help"]).stdout, /^Checks manifests/);
  const settings = "policies/flyte-non-root/policy.yaml";
  assert.equal(npx(["check", "--settings", settings, "examples/after.yaml"]).status, 0);
  for (const [parameters, message] of [
    [["check"], "name files, or - for standard input"],
    [["fix", "-"], "unknown command fix; use flytewarden check"],
    [["check", "--format", "yaml", "-"], "--format: use one of "],
    [["check", "--fail-on", "huge", "-"], "--fail-on: use one of "],
    [["check", "--fail-on", "constructor", "-"], "--fail-on: use one of "],
    [["check", "absent.yaml"], "absent.yaml: there is no such file"],
    [["check", "examples"], "examples: this is a directory; the flytewarden binary checks directories"],
    [["check", "--skip", "x", "-"], "Unknown option '--skip'; other options need the flytewarden binary"],
    [["check", "--nonsense", "-"], "Unknown option '--nonsense'"],
    [["check", "--settings", "examples/before.yaml", "-"], "settings: line 75: settings must be one document"],
  ]) {
    const { status, stderr, stdout } = npx(parameters, BEFORE);
    assert.deepEqual([status, stdout], [2, ""], parameters.join(" "));
    assert.ok(stderr.startsWith(`error: ${message}`), stderr);
  }
});

test("errors that are thrown on purpose have their own class, and the place of the problem", () => {
  for (const call of [
    () => check("", { "flyte-non-root": { level: "loose" } }),
    () => validateSettings({ "flyte-nothing": {} }),
    () => mend(BEFORE, check(BEFORE).objects[0], [{ path: "spec.replicas", was: 7, value: 1 }]),
  ]) {
    assert.throws(call, (error) => error instanceof FlytewardenError && error.name === "FlytewardenError" && error.file !== "");
  }
});

test("the types list the names of all policies", () => {
  const types = readFileSync(`${root}dist/npm/policies/node.d.ts`, "utf8");
  const [, union] = /type PolicyName = ([^;]*);/.exec(types);
  assert.deepEqual(union.split(" | ").map((name) => JSON.parse(name)), policies().map(({ name }) => name));
});

test("require works as well as import", () => {
  const script = "process.stdout.write(typeof require('flytewarden').check)";
  assert.equal(execFileSync(process.execPath, ["--no-warnings", "--eval", script], { cwd: `${root}dist/npm`, encoding: "utf8" }), "function");
});

test("a format rejects a value that is not a report", async () => {
  const { toText } = await loadFormats();
  assert.throws(() => toText({ objects: 5 }), /not a report of this package/);
});

test("the report on every case is the command's", () => {
  assert.ok(CASES.length > 500, `there are ${CASES.length} cases`);
  for (const { title, settings, refused, manifests, images, report } of CASES) {
    if (refused === undefined) {
      const own = check(manifests, settings, { imageUsers: images ?? undefined });
      assert.deepEqual(own, report, title);
    } else {
      assert.throws(() => validateSettings(settings), { message: refused, file: "settings" }, title);
    }
  }
  console.log(`${CASES.length} cases`);
});

test("flyteconsole and flyteadmin are checked together, even in different texts", () => {
  const documents = BEFORE.split("\n---\n").map((text, index) => ({ name: `${index}.yaml`, text }));
  const rules = (report) => report.objects.flatMap(({ violations }) => violations.map(({ rule }) => rule)).sort();
  assert.ok(rules(check(documents)).includes("cut-off"));
  assert.deepEqual(rules(check(documents)), rules(check(BEFORE)));
});

test("every fix for programs removes its finding, in the example and in every case", () => {
  // The valid reasons for leaving a text unchanged.
  const LEFT = /the file is not a `\|` block|it is an alias, whose value other fields may share/;
  const texts = CASES.filter(({ manifests }) => manifests !== undefined).map(({ manifests, ...rest }) => {
    const text = manifests.split("\n---\n").map((json) => stringify(JSON.parse(json), { version: "1.1" })).join("---\n");
    return { ...rest, text };
  });
  let [mended, left] = [0, 0];
  for (const { title, text, settings, images } of [{ title: "the example", text: BEFORE }, ...texts]) {
    const found = (text) => check(text, settings, { imageUsers: images ?? undefined }).objects
      .flatMap((place) => place.violations.map((finding) => ({ place, finding })));
    const name = ({ finding: { rule, path, problem, within } }) => `${rule} ${path} ${within?.path} ${problem}`;
    const before = found(text);
    for (const { place, finding } of before.filter(({ finding }) => finding.edits)) {
      let after;
      try {
        after = mend(text, place, finding.edits);
      } catch (error) {
        assert.match(error.message, LEFT, title);
        left += 1;
        continue;
      }
      const count = (findings) => findings.filter((other) => name(other) === name({ finding })).length;
      assert.ok(count(found(after)) < count(before), `${title}: ${finding.rule}`);
      mended += 1;
    }
  }
  console.log(`${mended} mends made, ${left} left`);
  assert.ok(mended > 50);
});

test("a misspelt edit removes nothing", () => {
  const place = { file: "a.yaml", document: 1, line: 1, apiVersion: "v1", kind: "Pod", name: "" };
  const edits = [{ path: "spec", vlaue: 1 }];
  assert.throws(() => mend("apiVersion: v1\nkind: Pod\nspec: 2\n", place, edits), { file: "edits", message: /unknown field `vlaue`/ });
});

test("the given users of images are checked, as by the command", () => {
  const pod = (image) => `apiVersion: v1\nkind: Pod\nmetadata: {name: flyteadmin}\nspec: {containers: [{name: a, image: ${image}}]}\n`;
  const rules = (image, settings) => check(pod(image), settings, { imageUsers: { good: "1001", none: null } })
    .objects[0].violations.map(({ rule }) => rule);
  assert.deepEqual(rules("good"), []);
  assert.deepEqual(rules("none"), ["runs-as-root"]);
  assert.deepEqual(rules("other"), ["not-proven-non-root"]);
  assert.deepEqual(rules("good", { "flyte-non-root": { imageUser: "off" } }), ["not-proven-non-root"]);
});

test("an edit that cannot be made is thrown, with its line", () => {
  const text = "x: &x {a: 1}\napiVersion: v1\nkind: Pod\nspec: *x\n";
  const place = { file: "a.yaml", document: 1, line: 1, apiVersion: "v1", kind: "Pod", name: "" };
  assert.throws(() => mend(text, place, [{ path: "spec.b", value: 1 }]), { file: "a.yaml", line: 1 });
});

test("wrong settings are thrown, with their path", () => {
  const settings = { "flyte-non-root": { level: "loose" } };
  const thrown = { name: "FlytewardenError", file: "settings", path: "flyte-non-root.level", message: /unknown value `loose`/ };
  assert.throws(() => validateSettings(settings), thrown);
  assert.throws(() => check(BEFORE, settings), thrown);
  assert.throws(() => validateSettings({ "flyte-nonroot": {} }), { message: /did you mean flyte-non-root/ });
  validateSettings(undefined);
});

test("parameters of wrong types are thrown, with their names", () => {
  assert.throws(() => check(5), { file: "manifests" });
  assert.throws(() => check([]), { file: "manifests", message: "there are no manifests" });
  assert.throws(() => check([{ name: "a" }]), { file: "manifests", message: /missing field `text`/ });
  assert.throws(() => check("", {}, { namespce: "a" }), { file: "options", message: /unknown field `namespce`/ });
  assert.throws(() => check({ name: "a", text: "" }), { file: "manifests", message: /neither a text nor a list/ });
  for (const text of [{ name: "a", text: "" }, Buffer.from("a"), undefined]) {
    assert.throws(() => mend(text, {}, []), { file: "manifest", message: "manifest: no text" });
  }
  const lost = [new Map([["nope", {}]]), { "flyte-non-root": new Set() }, Promise.resolve({ nope: {} }), runInNewContext("new Map()")];
  for (const settings of lost) {
    const thrown = { file: "settings", message: /^settings: a (Map|Set|Promise) where a plain object or a list belongs$/ };
    assert.throws(() => validateSettings(settings), thrown);
    assert.throws(() => check("", {}, settings), { file: "options" });
  }
  assert.throws(() => validateSettings({ "flyte-non-root": { level: () => "loose" } }), { message: /a function where/ });
  validateSettings(Object.assign(Object.create(null), { "flyte-non-root": { level: undefined } }));
  const circular = {};
  circular.self = circular;
  assert.throws(() => check("", circular), { file: "settings" });
});

test("bad input is reported, and does not cause a trap", () => {
  const bomb = Array.from({ length: 12 }, (_, level) =>
    `a${level}: &a${level} [${Array(10).fill(level === 0 ? "x" : `*a${level - 1}`).join(",")}]`).join("\n");
  const large = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: flyte-admin-config}\ndata:\n  a: "${"x".repeat(1 << 20)}"\n`;
  for (const text of ["", "a: [", "{", "- ".repeat(10_000), `${"[".repeat(100_000)}`, bomb, "\0", "\ud800", "%YAML 9.9\n"]) {
    const { unjudged, summary } = check(text);
    assert.ok(unjudged.length > 0 && unjudged[0].reason !== "", text.slice(0, 20));
    assert.equal(summary.judged, 0);
  }
  assert.equal(check(large).unjudged.length, 0);
});

test("each policy describes its purpose and its settings", () => {
  const names = policies().map(({ name }) => name);
  const listed = run("flytewarden", "check", "--list").trim().split("\n").map((line) => line.split(" ")[0]);
  assert.deepEqual(names, listed);
  for (const { name, description, questions } of policies()) {
    assert.ok(description !== "" && questions.every(({ variable, label, type }) => variable && label && type), name);
  }
});

test("the package describes the rules as the command does", () => {
  assert.deepEqual(JSON.parse(read("dist/npm/rules.json")), JSON.parse(run("flytewarden", "explain", "--json")));
});

test("the package's scripts for bundlers and for pages give the same report, once the module for certificates is loaded", async () => {
  const page = await import("../../dist/npm/web.js");
  await page.default({ module_or_path: module("policies") });
  const { judged, unjudged } = withoutPki(page.check(BEFORE));
  await page.loadPki({ module_or_path: module("pki") });
  assert.deepEqual(page.check(BEFORE), check(BEFORE));
  const flag = "--experimental-wasm-modules";
  const script = `
    import { readFileSync } from "node:fs";
    import { check, loadPki } from "./dist/npm/flytewarden.js";
    const text = readFileSync("examples/before.yaml", "utf8");
    const first = check(text);
    await loadPki();
    console.log(JSON.stringify([first, check(text)]));
  `;
  const bundled = execFileSync(process.execPath, [flag, "--no-warnings", "--input-type=module", "--eval", script], { cwd: root });
  const [first, second] = JSON.parse(bundled);
  assert.deepEqual(withoutPki(first), { judged, unjudged });
  assert.deepEqual(second, check(BEFORE));
});

for (const fill of [false, true]) {
  test(`fixes the same as the command${fill ? ", with missing users" : ""}`, () => {
    const name = "examples/before.yaml";
    const { texts, left, report } = fix([{ name, text: BEFORE }], {}, { fill });
    assert.equal(texts[0], run("flytewarden", "fix", "--stdout", ...(fill ? ["--fill"] : []), name));
    assert.deepEqual(left, []);
    assert.equal(report.summary.violations, check(texts[0]).summary.violations);
  });
}

test("lists what it cannot fix", () => {
  const container = { name: "flyteadmin", image: "cr.flyte.org/flyteorg/flyteadmin:v1.16.8", securityContext: { runAsUser: 0 } };
  const text = JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: { containers: [container] } });
  const { texts, left } = fix([{ name: "a.json", text }]);
  assert.equal(texts[0], text);
  assert.deepEqual(left, [{ file: "a.json", line: 1, object: "Pod a", reason: "JSON cannot be edited" }]);
});

test("the package exports the same names for Node, for pages and for bundlers", () => {
  /** The names that a script gets when it imports the package under a name. */
  const exported = (name, ...flags) => {
    const script = `console.log(JSON.stringify(Object.keys(await import("${name}"))))`;
    const parameters = [...flags, "--no-warnings", "--input-type=module", "--eval", script];
    return JSON.parse(execFileSync(process.execPath, parameters, { cwd: `${root}dist/npm` }));
  };
  const all = ["FlytewardenError", "check", "fix", "loadFormats", "loadPki", "mend", "policies", "validateSettings"];
  assert.deepEqual(exported("flytewarden"), all);
  assert.deepEqual(exported("./flytewarden.js", "--experimental-wasm-modules"), all);
  assert.deepEqual(exported("flytewarden/web"), [...all, "default", "initSync"].sort());
});

/** Checks a report made without the module that checks certificates: it says that they were not checked. */
function withoutPki({ objects, unjudged }) {
  assert.equal(unjudged.length, 1);
  const [{ policy, object, path, reason }] = unjudged;
  assert.deepEqual({ policy, path }, { policy: "flyte-oauth-tls", path: 'stringData["tls.crt"]' });
  assert.match(reason, /is not loaded/);
  const judged = objects.flatMap(({ violations }) => violations.map(({ rule }) => rule));
  assert.ok(judged.includes("never-matches") && !judged.includes("self-signed"));
  return { judged, unjudged: object };
}

test("certificates are checked with the roots that the other module brings", async () => {
  const accepts = ({ manifests, settings, report }) =>
    settings?.["flyte-oauth-tls"]?.trustRoots && settings["flyte-oauth-tls"].trustMozilla !== true
    && manifests?.includes("kubernetes.io/tls") && report?.summary.judged === 1 && report.summary.violations === 0;
  const { manifests, settings } = CASES.find(accepts);
  const { trustRoots, ...own } = settings["flyte-oauth-tls"];
  const root = anchorOf(new X509Certificate(trustRoots).raw);
  /** The rules that the chain breaks under the given roots. */
  const rules = async (roots) => {
    const policies = await freshPolicies();
    policies.usePki({ ...pki, roots: () => roots });
    return policies.check(manifests, { "flyte-oauth-tls": own }).objects[0].violations.map(({ rule }) => rule);
  };
  const any = new Uint8Array();
  const another = Uint8Array.from([0xa0, 7, 0x30, 5, 0x82, 3, ...Buffer.from(".tr")]);
  assert.deepEqual(await rules([...root, any]), []);
  assert.deepEqual(await rules([...root, another]), ["broken-chain"]);
  assert.match((await rules(pki.roots())).join(), /^(unknown-issuer|untrusted-root)$/);
});

/** A fresh instance of the policies, without the other module: Node loads a module again for each new name. */
function freshPolicies() {
  return import(`../../dist/npm/policies/node.js?${randomUUID()}`);
}

test("Node has nearly all of the roots too", () => {
  const keys = new Set(rootCertificates.map((pem) => hex(anchorOf(new X509Certificate(pem).raw)[1])));
  const roots = pki.roots();
  const known = roots.filter((part, index) => index % 3 === 1 && keys.has(hex(part)));
  assert.ok(known.length > 100 && known.length > 0.9 * (roots.length / 3), `${known.length} of ${roots.length / 3}`);
});

test("the module for certificates must have the policies' version", async () => {
  const policies = await freshPolicies();
  assert.throws(() => policies.usePki({ ...pki, version: () => "0.0.1" }), { message: /is of version 0\.0\.1, and the policies/ });
  withoutPki(policies.check(BEFORE));
});

const hex = (bytes) => Buffer.from(bytes).toString("hex");

/** The name and the key of a root, as webpki stores them: without the leading tag and length. */
function anchorOf(certificate) {
  const [content] = elements(certificate);
  const [signed] = elements(content);
  const [, , , , , subject, key] = elements(signed);
  return [subject, key];
}

/** The contents of the elements of some DER. */
function elements(der) {
  const contents = [];
  for (let at = 0; at < der.length;) {
    const short = der[at + 1];
    const more = short < 0x80 ? 0 : short & 0x7f;
    const length = more === 0 ? short : parseInt(hex(der.subarray(at + 2, at + 2 + more)), 16);
    at += 2 + more;
    contents.push(der.subarray(at, at + length));
    at += length;
  }
  return contents;
}

test("the modules are small enough, and only the module for certificates contains the roots", () => {
  const root = "ISRG Root X1";
  assert.ok(module("pki").includes(root) && !module("policies").includes(root));
  const most = {
    policies: { raw: 1_495_000, gzip: 595_000, brotli: 475_000 },
    pki: { raw: 300_000, gzip: 130_000, brotli: 120_000 },
    formats: { raw: 415_000, gzip: 165_000, brotli: 135_000 },
  };
  for (const [name, limits] of Object.entries(most)) {
    const bytes = module(name);
    const sizes = {
      raw: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      brotli: brotliCompressSync(bytes).length,
    };
    for (const [how, size] of Object.entries(sizes)) {
      console.log(`${name}, ${how}: ${Math.ceil(size / 1000)} KB of at most ${limits[how] / 1000}`);
      assert.ok(size <= limits[how], `${name}, ${how}`);
    }
  }
});
