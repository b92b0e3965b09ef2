#!/usr/bin/env node
// `npx flytewarden check`: the command's report where only Node is at hand.

import { existsSync, readFileSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

import { check, loadFormats } from "./node.js";

const HELP = `Checks manifests, and shows how to fix each problem.

Usage: npx flytewarden check [OPTIONS] <FILE|->...

Options:
      --settings <FILE>     A YAML file that maps each policy's name to its settings, or a policy.yaml for Kubewarden
  -n, --namespace <NAME>    The namespace of objects that do not set one [default: default]
      --namespaces <NAMES>  The namespaces to report on, or \`all\`
      --format <FORMAT>     text, markdown, json, sarif or junit [default: text]
      --fail-on <LEVEL>     high, medium, low, notice or never [default: low]
      --version             Prints the version
  -h, --help                Prints this help

Exits with 0 if there are no violations, 1 if there are, and 2 if something could not be checked. The file
flytewarden.yaml, directories, fixes, modules, clusters and all other options need the flytewarden binary.
`;
const FORMATS = ["text", "markdown", "json", "sarif", "junit"];
/** @type {Record<string, (summary: import("./node.js").Report["summary"]) => number>} */
const FAILURES = {
  high: ({ violations, medium, low }) => violations - medium - low,
  medium: ({ violations, low }) => violations - low,
  low: ({ violations }) => violations,
  notice: ({ violations, notices }) => violations + notices,
  never: () => 0,
};

try {
  process.exitCode = await run();
} catch (error) {
  const { message, file, line } = /** @type {Error & { file?: string, line?: number }} */ (error);
  const place = file === "settings" ? `settings${line ? `: line ${line}` : ""}: ` : "";
  process.stderr.write(`error: ${place}${message}\n`);
  process.exitCode = 2;
}

async function run() {
  const { values, positionals } = parsed();
  const [command, ...paths] = positionals;
  if (values.help) return print(HELP);
  if (values.version) {
    const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
    return print(`flytewarden ${version}\n`);
  }
  if (command !== "check") throw new Error(`unknown command ${command ?? ""}; use flytewarden check`);
  if (paths.length === 0) throw new Error("name files, or - for standard input");
  if (!FORMATS.includes(values.format)) throw new Error(`--format: use one of ${FORMATS.join(", ")}`);
  if (!Object.hasOwn(FAILURES, values["fail-on"])) {
    throw new Error(`--fail-on: use one of ${Object.keys(FAILURES).join(", ")}`);
  }
  const failures = FAILURES[values["fail-on"]];

  const unread = configuration();
  if (unread) process.stderr.write(`warning: ${unread} is not used; the flytewarden binary reads it\n`);
  const manifests = paths.map((path) => ({ name: path === "-" ? "<stdin>" : path, text: read(path) }));
  const settings = values.settings === undefined ? {} : read(values.settings);
  const options = { namespace: values.namespace, namespaces: values.namespaces?.split(",") };
  const report = check(manifests, settings, options);
  print(await formatted(report, values.format));
  if (report.summary.unjudged > 0) return 2;
  return failures(report.summary) > 0 ? 1 : 0;
}

function parsed() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        settings: { type: "string" },
        namespace: { type: "string", short: "n" },
        namespaces: { type: "string" },
        format: { type: "string", default: "text" },
        "fail-on": { type: "string", default: "low" },
        version: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Node's own advice does not fit.
    const { message } = /** @type {Error} */ (error);
    throw new Error(`${message.split(". ")[0]}; other options need the flytewarden binary`);
  }
}

/** The nearest flytewarden.yaml in this directory or above it, which only the binary reads. */
function configuration() {
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const file = join(folder, "flytewarden.yaml");
    if (existsSync(file)) return file;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * @param {import("./node.js").Report} report
 * @param {string} format
 */
async function formatted(report, format) {
  if (format === "json") return `${JSON.stringify(report, undefined, 2)}\n`;
  const { toJunit, toMarkdown, toSarif, toText } = await loadFormats();
  switch (format) {
    case "sarif":
      return `${JSON.stringify(toSarif(report), undefined, 2)}\n`;
    case "junit":
      return toJunit(report);
    case "markdown":
      return toMarkdown(report);
    default:
      return toText(report);
  }
}

/** @param {string} path */
function read(path) {
  let bytes;
  try {
    bytes = readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === "ENOENT") throw new Error(`${path}: there is no such file`);
    if (code === "EISDIR") throw new Error(`${path}: this is a directory; the flytewarden binary checks directories`);
    throw new Error(`${path}: ${message}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error(`${path}: not UTF-8`);
  }
}

/**
 * Writes all of a text before the process ends, also to a pipe.
 *
 * @param {string} text
 */
function print(text) {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      // The reader has read enough.
      if (code === "EPIPE") break;
      if (code !== "EAGAIN") throw error;
    }
  }
  return 0;
}
