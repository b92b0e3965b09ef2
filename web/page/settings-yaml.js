// Reads and writes the settings of a policy as in the spec of its ClusterAdmissionPolicy.

import { YAMLParseError, parse, stringify } from "yaml";

import { isMap } from "./link.js";

// A ClusterAdmissionPolicy is read as YAML 1.1, in which a plain `off` is false. Its dates are read as texts.
/** @type {import("yaml").SchemaOptions & import("yaml").DocumentOptions} */
const AS_KUBECTL = {
  version: "1.1",
  customTags: (tags) => tags.filter((tag) => typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:timestamp"),
};

/** @param {Record<string, unknown>} settings */
export function write(settings) {
  const text = stringify({ settings }, { ...AS_KUBECTL, aliasDuplicateObjects: false, lineWidth: 0 });
  return text.trimEnd().replace(/^(?=.)/gm, "  ");
}

/** @param {string} text */
function parsed(text) {
  try {
    return parse(text, AS_KUBECTL);
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    const line = error.linePos?.[0].line;
    throw new Error(`line ${line}: ${error.message.split(/ at line \d+/)[0]}`);
  }
}

/**
 * Reads a file of the command: settings by policy, a flytewarden.yaml that contains them, or a policy.yaml for Kubewarden.
 *
 * @param {string} text
 * @returns {Record<string, Record<string, unknown>>}
 */
export function readFile(text) {
  const content = parsed(text) ?? {};
  const { kind, spec, settings } = isMap(content) ? content : {};
  let byPolicy = settings ?? content;
  if (kind === "ClusterAdmissionPolicy" || kind === "AdmissionPolicy") {
    const { module = "", settings: own = {} } = /** @type {{ module?: string, settings?: unknown }} */ (spec ?? {});
    const last = /[^/]*$/.exec(module)?.[0].replace(/[:@].*$/, "") ?? "";
    const name = last.replace(/\.wasm$/, "").replace(/-image-user$/, "");
    byPolicy = name === "flytewarden" ? own : { [name]: own };
  }
  if (!isMap(byPolicy) || !Object.values(byPolicy).every(isMap)) {
    throw new Error("expected a map from policy names to their settings");
  }
  return /** @type {Record<string, Record<string, unknown>>} */ (byPolicy);
}

/**
 * @param {string} text
 * @returns {Record<string, unknown>}
 */
export function read(text) {
  const content = parsed(text);
  if (content === null || content === undefined) return {};
  if (!isMap(content) || Object.keys(content).join() !== "settings") {
    throw new Error("expected `settings:` and nothing else");
  }
  if (content.settings === null) return {};
  if (!isMap(content.settings)) throw new Error("expected a map under `settings:`");
  return content.settings;
}
