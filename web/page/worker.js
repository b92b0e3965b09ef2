// Runs the policies in a worker, so that the page stays responsive however much there is to check.

import init, { check, loadPki, mend, policies, validateSettings } from "flytewarden";

import { smallestChange } from "./change.js";

/**
 * @typedef {import("flytewarden").Settings} Settings
 * @typedef {{ policy: string, message: string }} Wrong
 * @typedef {{ report?: import("flytewarden").Report, wrong?: Wrong[], missing?: string }} Verdict with why something was missing for it
 *
 * @typedef {object} Calls
 * @property {(text: string, settings: Settings, namespace: string) => Verdict} check
 * @property {(text: string, place: import("flytewarden").Place, edits: import("flytewarden").Edit[]) =>
 *   import("./change.js").Change} mend
 * @property {() => import("flytewarden").PolicyInfo[]} policies
 *
 * @typedef {{ id: number, call: keyof Calls, parameters: unknown[] }} Request
 * @typedef {{ id: number, value?: unknown, refused?: string, crashed?: string }} Reply
 * @typedef {{ missing: string | undefined }} News why something is still missing; `undefined` once it is there
 */

/** Whether the module that checks certificates is loaded. The first text that flyte-oauth-tls cannot check fetches it. */
let hasPki = false;
let isFetching = false;

/** @type {Calls} */
const calls = {
  check(text, settings, namespace) {
    const wrong = Object.entries(settings).flatMap(([policy, own]) => wrongSettings(policy, own) ?? []);
    if (wrong.length > 0) return { wrong };
    if (text.trim() === "") return {};
    const report = check(text, settings, { namespace });
    if (hasPki || !report.unjudged.some(({ policy }) => policy === "flyte-oauth-tls")) return { report };
    fetchPki();
    return { report, missing: "What certificates are checked with is being fetched." };
  },
  mend(text, place, edits) {
    return smallestChange(text, mend(text, place, edits));
  },
  policies,
};

async function fetchPki() {
  if (isFetching) return;
  isFetching = true;
  /** @type {News} */
  let news = { missing: undefined };
  try {
    await loadPki();
    hasPki = true;
  } catch (error) {
    const missing = `What certificates are checked with could not be loaded (${/** @type {Error} */ (error).message}).`;
    news = { missing: `${missing} The next check tries again; if that does not help, load the page anew.` };
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
      const value = /** @type {(...parameters: unknown[]) => unknown} */ (calls[call])(...parameters);
      reply = { id, value };
    } catch (error) {
      reply = isAnswer(error) ? { id, refused: error.message } : { id, crashed: `the policies stopped: ${error}` };
    }
  }
  postMessage(reply);
});
