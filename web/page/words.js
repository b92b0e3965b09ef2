/**
 * @typedef {import("flytewarden").Place} Place
 * @typedef {import("flytewarden").Finding} Finding
 * @typedef {import("flytewarden").Report} Report
 */

/**
 * @param {number} number
 * @param {string} what
 */
export function count(number, what) {
  return `${number.toLocaleString("en-GB")} ${what}${number === 1 ? "" : "s"}`;
}

/**
 * An object as the command names it: `Deployment flyte/flyteadmin`.
 *
 * @param {Place} place
 */
export function titleOf(place) {
  return `${place.kind} ${place.namespace ? `${place.namespace}/` : ""}${place.name}`;
}

/**
 * The place of a finding in its object, as the command writes it.
 *
 * @param {Finding} finding
 */
export function placeOf({ path, within, container }) {
  const inside = within ? ` line ${within.line}${within.path ? `, ${within.path}` : ""}` : "";
  return `${path}${container ? ` "${container}"` : ""}${inside}`;
}

/**
 * Returns the change that a finding's button makes; `undefined` if the fix cannot be applied.
 *
 * @param {Finding} finding
 * @returns {string | undefined}
 */
export function actionOf(finding) {
  const edits = finding.edits ?? [];
  if (edits.length === 0) return undefined;
  const base = finding.within?.path ?? finding.path;
  const steps = edits.map(({ path, within, value }) => {
    const place = within ?? path;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    // The finding already shows its own place.
    if (place === base) return value === undefined ? "remove it" : `write ${text}`;
    return `set ${place.startsWith(`${base}.`) ? place.slice(base.length + 1) : place}: ${text}`;
  });
  return steps.join(", ");
}

/**
 * Says where a chart sets a value, in the command's words.
 *
 * @param {NonNullable<Finding["chartValue"]>} value
 */
export function inValues({ chart, key, since }) {
  if (!key) return `${chart} has no value for this; use flytewarden fix --stdout - as a Helm post-renderer`;
  return `in the values of ${chart}${since ? ` (since ${since})` : ""}: ${key}`;
}

/**
 * Returns the part of a fix after the action of its button; `undefined` if the fix does not begin with the action.
 *
 * @param {string} mend
 * @param {string} action
 */
export function restOf(mend, action) {
  // The fix has backticks around values.
  const plain = mend.replaceAll("`", "");
  if (!plain.startsWith(action)) return undefined;
  let at = 0;
  for (let left = action.length; left > 0; at += 1) {
    if (mend[at] !== "`") left -= 1;
  }
  const rest = mend.slice(at).replace(/^`/, "");
  return /^[\w.-]/.test(rest) ? undefined : rest;
}

/**
 * The look of a report. It is good only if everything was checked and there is no violation.
 *
 * @param {Report} report
 * @returns {"good" | "violation" | "unjudged" | "neutral"}
 */
export function lookOf({ summary }) {
  if (summary.unjudged > 0) return "unjudged";
  if (summary.violations > 0) return "violation";
  return summary.judged > 0 ? "good" : "neutral";
}

/**
 * A report in the command's sentences, with the most important one first.
 *
 * @param {Report} report
 * @returns {{ headline: string, rest: string[] }}
 */
export function summaryOf({ summary, objects, sentences: requirements, outOfScope, askedFor = [] }) {
  const judged = [`${count(summary.judged, "object")} checked`];
  if (summary.violations > 0) {
    judged.push(`: ${count(summary.violations, "violation")} in ${count(summary.refused, "object")}`);
  } else if (summary.judged > 0) {
    judged.push(": no violations");
  }
  if (summary.notices > 0) judged.push(`, ${count(summary.notices, "notice")}`);
  const sentences = [`${judged.join("")}.`];
  if (objects.length > 0) sentences.push(...policiesOf(objects), requirementsOf(requirements));
  if (summary.unjudged > 0) sentences.unshift(`${summary.unjudged} could not be checked.`);
  if (summary.outOfScope > 0) {
    const kinds = Object.entries(outOfScope).sort(([, one], [, other]) => other - one);
    const named = kinds.slice(0, 4).map(([kind, number]) => `${number} ${kind}`);
    if (kinds.length > named.length) named.push("...");
    const are = summary.outOfScope === 1 ? "is" : "are";
    sentences.push(`${count(summary.outOfScope, "other object")} ${are} not covered by any policy (${named.join(", ")}).`);
  }
  if (askedFor.length > 0) sentences.push("Related objects were looked up only among the objects given here.");
  const [headline = "", ...rest] = sentences;
  return { headline, rest };
}

/**
 * The number of objects that each policy checked.
 *
 * @param {Report["objects"]} objects
 */
function policiesOf(objects) {
  /** @type {Map<string, number>} */
  const checked = new Map();
  for (const policy of objects.flatMap(({ policies }) => policies)) checked.set(policy, (checked.get(policy) ?? 0) + 1);
  const counts = [...checked].sort().map(([policy, number]) => `${policy} (${number})`);
  return counts.length > 0 ? [`Objects per policy: ${counts.join(", ")}.`] : [];
}

/** @param {Report["sentences"]} requirements */
function requirementsOf(requirements) {
  const number = (/** @type {string} */ wanted) => requirements.filter(({ state }) => state === wanted).length;
  const [holds, broken, notShown] = ["holds", "broken", "not-shown"].map(number);
  return `Requirements: ${holds} hold, ${broken} broken, ${notShown} not shown.`;
}
