// Runs the policies away from the page, which so stays responsive however much there is to judge.

import init, { check, loadPki, mend, policies, validateSettings } from "flytewarden";

import { smallestChange } from "./change.js";

/**
 * @typedef {import("flytewarden").Settings} Settings
 * @typedef {{ policy: string, message: string }} Wrong
 * @typedef {{ report?: import("flytewarden").Report, wrong?: Wrong[], missing?: string }} Verdict with what was missing for it
 *
 * @typedef {object} Calls
 * @property {(text: string, settings: Settings, namespace: string) => Promise<Verdict>} check
 * @property {(text: string, place: import("flytewarden").Place, edits: import("flytewarden").Edit[]) =>
 *   import("./change.js").Change} mend
 * @property {() => import("flytewarden").PolicyInfo[]} policies
 *
 * @typedef {{ id: number, call: keyof Calls, parameters: unknown[] }} Request
 * @typedef {{ id: number, value?: unknown, refused?: string, crashed?: string }} Reply
 * @typedef {{ missing: string | undefined }} News of what was missing for a verdict: why it still is, or that it is there
 */

/** How long a verdict waits for what certificates are checked with. The page gives a check up that takes much longer. */
const GRACE = 1000;

/** Whether what certificates are checked with is there. It is fetched for the first text that flyte-oauth-tls could not judge. */
let hasPki = false;
/** Whether a verdict went out while it was being fetched. */
let isOwed = false;
/** @type {ReturnType<typeof loadMissing> | undefined} */
let fetching;

/** @type {Calls} */
const calls = {
  async check(text, settings, namespace) {
    const wrong = Object.entries(settings).flatMap(([policy, own]) => wrongSettings(policy, own) ?? []);
    if (wrong.length > 0) return { wrong };
    if (text.trim() === "") return {};
    const report = check(text, settings, { namespace });
    if (hasPki || !report.unjudged.some(({ policy }) => policy === "flyte-oauth-tls")) return { report };
    fetching ??= loadMissing();
    const missing = await Promise.race([fetching, stillFetching()]);
    if (missing === undefined) return { report: check(text, settings, { namespace }) };
    isOwed = fetching !== undefined;
    return { report, missing };
  },
  mend(text, place, edits) {
    return smallestChange(text, mend(text, place, edits));
  },
  policies,
};

/**
 * Where it cannot be fetched, the next check tries again.
 *
 * @returns {Promise<string | undefined>} why it is still missing, if it is
 */
async function loadMissing() {
  const missing = await loadPki().then(
    () => undefined,
    (error) => {
      if (error instanceof WebAssembly.RuntimeError) throw error;
      return `What certificates are checked with could not be fetched (${error.message}); the next check tries again.`;
    },
  );
  hasPki = missing === undefined;
  fetching = undefined;
  if (isOwed) postMessage({ missing });
  isOwed = false;
  return missing;
}

/** @returns {Promise<string>} */
function stillFetching() {
  const text = "What certificates are checked with is still being fetched.";
  return new Promise((resolve) => setTimeout(() => resolve(text), GRACE));
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
 * What is wrong, and where among the policy's settings.
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
 * Whether the package threw this on purpose. Anything else, a trap or an exhausted stack say, leaves its memory in an
 * unknown state.
 *
 * @param {unknown} error
 * @returns {error is Error}
 */
function isAnswer(error) {
  return error instanceof Error && error.constructor === Error;
}

const ready = init().then(
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
