// Runs the policies in a worker, so that the page stays responsive however much there is to check.

import init, { FlytewardenError, check, fix, loadFormats, loadPki, mend, policies, validateSettings } from "flytewarden";

import { smallestChange } from "./change.js";

/**
 * @typedef {import("flytewarden").Settings} Settings
 * @typedef {{ policy: string, message: string }} Wrong
 * @typedef {object} Verdict
 * @property {import("flytewarden").Report} [report]
 * @property {Wrong[]} [wrong]
 * @property {string} [missing] why something was missing for it
 * @property {Map<import("flytewarden").Finding, string>} [unfixable] the findings whose edits cannot be made in this text, and why
 *
 * @typedef {import("./editor.js").Manifest} Manifest
 * @typedef {import("./link.js").Shared} Shared
 * @typedef {{ texts: string[], violations: number, left: string[] }} Fixes with how many violations are left
 *
 * @typedef {object} Calls
 * @property {(manifests: Manifest[], shared: Shared) => Verdict} check
 * @property {(manifests: Manifest[], shared: Shared, fill: boolean) => Fixes} fixAll
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
  check(manifests, shared) {
    const wrong = Object.entries(shared.settings).flatMap(([policy, own]) => wrongSettings(policy, own) ?? []);
    if (wrong.length > 0) return { wrong };
    if (manifests.every(({ text }) => text.trim() === "")) return {};
    const report = check(manifests, shared.settings, optionsOf(shared));
    const unfixable = unfixableIn(report, manifests);
    if (hasPki || !report.unjudged.some(({ policy }) => policy === "flyte-oauth-tls")) return { report, unfixable };
    fetchPki();
    return { report, unfixable, missing: "The data for checking certificates is being fetched." };
  },
  mend(text, place, edits) {
    return smallestChange(text, mend(text, place, edits));
  },
  fixAll(manifests, shared, fill) {
    const { texts, left, report } = fix(manifests, shared.settings, { ...optionsOf(shared), fill });
    const reasons = left.map(({ object, reason }) => `${object}: ${reason}`);
    return { texts, violations: report.summary.violations, left: [...new Set(reasons)] };
  },
  async write(report, format) {
    if (format === "json") return `${JSON.stringify(report, undefined, 2)}\n`;
    const { toMarkdown, toSarif, toText } = await loadFormats();
    if (format === "sarif") return `${JSON.stringify(toSarif(report), undefined, 2)}\n`;
    return format === "markdown" ? toMarkdown(report) : toText(report);
  },
  policies,
};

/**
 * The options of a check.
 *
 * @param {Shared} shared
 */
function optionsOf({ namespace, imageUsers }) {
  const lines = imageUsers.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  // The reference may hold a port and a tag.
  const users = lines.map((line) => {
    const at = line.lastIndexOf(": ");
    return at < 0 ? [line.replace(/:$/, ""), null] : [line.slice(0, at), line.slice(at + 2).trim()];
  });
  return { namespace: namespace || "default", imageUsers: users.length > 0 ? Object.fromEntries(users) : undefined };
}

/** How long to look for edits that cannot be made, in ms. An edit that is not found here fails when the user applies it. */
const TIME_FOR_EDITS = 100;

/**
 * The findings whose edits cannot be made: in JSON, for example, and in parts that several objects share.
 *
 * @param {import("flytewarden").Report} report
 * @param {Manifest[]} manifests
 */
function unfixableIn(report, manifests) {
  const end = performance.now() + TIME_FOR_EDITS;
  /** @type {NonNullable<Verdict["unfixable"]>} */
  const unfixable = new Map();
  for (const { violations, policies: _, notices, moreViolations, moreNotices, ...place } of report.objects) {
    const text = manifests.find(({ name }) => name === place.file)?.text ?? "";
    for (const finding of violations) {
      if ((finding.edits ?? []).length === 0) continue;
      if (performance.now() > end) return unfixable;
      try {
        mend(text, place, finding.edits ?? []);
      } catch (error) {
        if (!isAnswer(error)) throw error;
        unfixable.set(finding, error.message);
      }
    }
  }
  return unfixable;
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

/** Fetches the policies, and reports how much of them is loaded. */
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
