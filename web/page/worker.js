// Runs the policies in a worker, so that the page stays responsive however much there is to check.

import init, { FlytewardenError, check, loadFormats, loadPki, mend, policies, validateSettings } from "flytewarden";

import { smallestChange } from "./change.js";

/**
 * @typedef {import("flytewarden").Settings} Settings
 * @typedef {{ policy: string, message: string }} Wrong
 * @typedef {{ report?: import("flytewarden").Report, wrong?: Wrong[], missing?: string }} Verdict with why something was missing for it
 *
 * @typedef {import("./link.js").Shared} Shared
 * @typedef {{ text: string, fixed: number, left: string[] }} Fixes
 *
 * @typedef {object} Calls
 * @property {(text: string, shared: Shared) => Verdict} check
 * @property {(text: string, shared: Shared) => Fixes} fixAll
 * @property {(before: string, after: string) => import("./change.js").Change} change
 * @property {(report: import("flytewarden").Report, format: import("./exporting.js").Format) => Promise<string>} write
 * @property {(text: string, place: import("flytewarden").Place, edits: import("flytewarden").Edit[]) =>
 *   import("./change.js").Change} mend
 * @property {() => import("flytewarden").PolicyInfo[]} policies
 *
 * @typedef {{ id: number, call: keyof Calls, parameters: unknown[] }} Request
 * @typedef {{ id: number, value?: unknown, refused?: string, crashed?: string }} Reply
 * @typedef {{ missing: string | undefined } | { loaded: number }} News why something is still missing, `undefined` once it is there;
 *   or how much of the policies is loaded, from 0 to 1
 */

/** Whether the module that checks certificates is loaded. The first text that flyte-oauth-tls cannot check fetches it. */
let hasPki = false;
let isFetching = false;

/** @type {Calls} */
const calls = {
  check(text, shared) {
    const wrong = Object.entries(shared.settings).flatMap(([policy, own]) => wrongSettings(policy, own) ?? []);
    if (wrong.length > 0) return { wrong };
    if (text.trim() === "") return {};
    const report = checked(text, shared);
    if (hasPki || !report.unjudged.some(({ policy }) => policy === "flyte-oauth-tls")) return { report };
    fetchPki();
    return { report, missing: "The data for checking certificates is being fetched." };
  },
  mend(text, place, edits) {
    return smallestChange(text, mend(text, place, edits));
  },
  fixAll,
  change: smallestChange,
  async write(report, format) {
    if (format === "json") return `${JSON.stringify(report, undefined, 2)}\n`;
    const { toMarkdown, toSarif, toText } = await loadFormats();
    if (format === "sarif") return `${JSON.stringify(toSarif(report), undefined, 2)}\n`;
    return format === "markdown" ? toMarkdown(report) : toText(report);
  },
  policies,
};

/**
 * @param {string} text
 * @param {Shared} shared
 */
function checked(text, { settings, namespace, imageUsers }) {
  const lines = imageUsers.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  // The reference may hold a port and a tag.
  const users = lines.map((line) => {
    const at = line.lastIndexOf(": ");
    return at < 0 ? [line.replace(/:$/, ""), null] : [line.slice(0, at), line.slice(at + 2).trim()];
  });
  const options = { namespace: namespace || "default", imageUsers: users.length > 0 ? Object.fromEntries(users) : undefined };
  return check(text, settings, options);
}

/** How often a text is fixed and checked again: a fix can make another one possible. */
const MOST_ROUNDS = 5;

/** @type {Calls["fixAll"]} */
function fixAll(text, shared) {
  const violations = () => checked(text, shared).summary.violations;
  const before = violations();
  let left = new Set();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const start = text;
    left = new Set();
    // From the last object, so that the lines of those before it stay as they are.
    for (const { violations, policies: _, notices, moreViolations, moreNotices, ...place } of checked(text, shared).objects.reverse()) {
      for (const { edits = [] } of violations) {
        if (edits.length === 0) continue;
        try {
          text = mend(text, place, edits);
        } catch (error) {
          if (!isAnswer(error)) throw error;
          left.add(error.message);
        }
      }
    }
    if (text === start) break;
  }
  return { text, fixed: before - violations(), left: [...left] };
}

async function fetchPki() {
  if (isFetching) return;
  isFetching = true;
  /** @type {News} */
  let news = { missing: undefined };
  try {
    await loadPki();
    hasPki = true;
  } catch (error) {
    const missing = `The data for checking certificates could not be loaded (${/** @type {Error} */ (error).message}).`;
    news = { missing: `${missing} The next check tries again. If that does not help, reload the page.` };
  }
  isFetching = false;
  postMessage(news);
}

/**
 * @param {string} policy
 * @param {Record<string, unknown>} own
 * @returns {Wrong | undefined}
 */
function wrongSettings(policy, own) {
  try {
    validateSettings({ [policy]: own });
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return { policy, message: inPolicy(policy, error) };
  }
}

/**
 * The problem, and its path in the policy's settings.
 *
 * @param {string} policy
 * @param {Error & { path?: string }} error
 */
function inPolicy(policy, { message, path = "" }) {
  const own = (/** @type {string} */ text) =>
    text.startsWith(policy) ? text.slice(policy.length).replace(/^[.:] ?/, "") : text;
  const place = own(path);
  return place === "" || own(message).startsWith(place) ? own(message) : `${place}: ${message}`;
}

/**
 * Whether the package threw this on purpose. Anything else, such as a trap or an exhausted stack, leaves its memory in an
 * unknown state.
 *
 * @param {unknown} error
 * @returns {error is Error}
 */
function isAnswer(error) {
  return error instanceof FlytewardenError || (error instanceof Error && error.constructor === Error);
}

/** Fetches the policies, and tells how much of them is there. */
async function policiesWithProgress() {
  const response = await fetch(new URL("policies_bg.wasm", import.meta.url));
  if (!response.ok || !response.body) return response;
  let loaded = 0;
  const counted = response.body.pipeThrough(new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.byteLength;
      /** @type {News} */
      const news = { loaded: Math.min(loaded / POLICIES_BYTES, 1) };
      postMessage(news);
      controller.enqueue(chunk);
    },
  }));
  return new Response(counted, { headers: { "Content-Type": "application/wasm" } });
}

const ready = policiesWithProgress().then((response) => init({ module_or_path: response })).then(
  () => undefined,
  (error) => `the policies could not be loaded: ${error.message}`,
);

addEventListener("message", async (/** @type {MessageEvent<Request>} */ { data: { id, call, parameters } }) => {
  const crashed = await ready;
  /** @type {Reply} */
  let reply = { id, crashed };
  if (crashed === undefined) {
    try {
      const value = await /** @type {(...parameters: unknown[]) => unknown} */ (calls[call])(...parameters);
      reply = { id, value };
    } catch (error) {
      reply = isAnswer(error) ? { id, refused: error.message } : { id, crashed: `the policies stopped: ${error}` };
    }
  }
  postMessage(reply);
});
