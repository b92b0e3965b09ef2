import { Checks } from "./checks.js";
import { byId, h } from "./dom.js";
import { Editor } from "./editor.js";
import { Findings } from "./findings.js";
import { linkTo, readLink } from "./link.js";
import { opening } from "./opening.js";
import { Crash, Policies } from "./policies.js";
import { Settings } from "./settings.js";
import { outdateStatus, say, showStatus } from "./status.js";
import { tabs } from "./tabs.js";
import { actionOf, lookOf, summaryOf } from "./words.js";

/**
 * @typedef {import("flytewarden").Report} Report
 * @typedef {import("flytewarden").Judged} Judged
 * @typedef {import("flytewarden").Finding} Finding
 * @typedef {import("./worker.js").Wrong} Wrong
 *
 * The subject of a check: everything that a verdict depends on, as it was at some moment.
 * @typedef {{ version: number, doc: import("@codemirror/state").Text, broken: Wrong[] }
 *   & import("./link.js").Shared} Subject
 */

/** How long to wait after the last keystroke before a check, in ms. */
const PAUSE = 150;

const policies = new Policies(told);
const editor = new Editor(byId("editor"), () => {
  // The message was about the old text.
  say("");
  changed();
});
const findings = new Findings(byId("panel-findings"), { jump: (line) => editor.jump(line), apply });
const select = tabs(["findings", "settings"]);
const checks = new Checks(policies, run, done);

/** @type {Settings | undefined} */
let settings;
/** Counts the states of the page: only a verdict on the last one is useful. */
let version = 0;
/** The state that the shown findings belong to. */
let shown = -1;
/** @type {import("./worker.js").Verdict | undefined} */
let lastVerdict;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;

function changed() {
  version += 1;
  outdateStatus();
  clearTimeout(pause);
  pause = setTimeout(submit, PAUSE);
}

function submit() {
  clearTimeout(pause);
  if (!settings) return void start();
  checks.submit({ version, doc: editor.doc, broken: settings.broken, ...settings.shared });
}

/**
 * @param {Subject} subject
 * @returns {Promise<import("./worker.js").Verdict>}
 */
async function run({ doc, broken, settings, namespace }) {
  if (broken.length > 0) return { wrong: broken };
  return policies.ask("check", doc.toString(), settings, namespace || "default");
}

/**
 * @param {Subject} subject
 * @param {{ verdict?: import("./worker.js").Verdict, error?: Error }} outcome
 */
function done(subject, { verdict, error }) {
  if (subject.version !== version) return;
  shown = subject.version;
  lastVerdict = verdict;
  settings?.explain(verdict?.wrong ?? []);
  if (error) showFailure(error);
  else if (verdict?.wrong) showWrong(verdict.wrong);
  else if (verdict?.report) showReport(verdict.report, verdict.missing);
  else showNothing();
}

/** @param {string | undefined} missing why something is still missing for a verdict; `undefined` if nothing is */
function told(missing) {
  // If the text has changed since, it is checked again anyway.
  if (shown !== version || !lastVerdict?.report || !lastVerdict.missing) return;
  if (missing === undefined) submit();
  else showSummary(lastVerdict.report, missing);
}

/**
 * @param {Report} report
 * @param {string} [missing] why something is missing for the verdict
 */
function showSummary(report, missing) {
  const { headline, rest } = summaryOf(report);
  showStatus(lookOf(report), headline, missing ? [...rest, missing] : rest);
}

/**
 * @param {Report} report
 * @param {string} [missing]
 */
function showReport(report, missing) {
  showSummary(report, missing);
  findings.show(report);
  editor.mark([
    ...report.unjudged.flatMap(markOfUnjudged),
    ...report.objects.flatMap((object) => [
      ...object.violations.map((finding) => markOf(object, finding, "violation")),
      ...object.notices.map((finding) => markOf(object, finding, "notice")),
    ]),
  ]);
}

/**
 * @param {import("flytewarden").Unjudged} entry
 * @returns {import("./editor.js").Mark[]} empty if the entry has no line
 */
function markOfUnjudged({ line, path, policy = "not checked", reason }) {
  if (line === undefined) return [];
  return [{ line, kind: "unjudged", source: policy, message: path ? `${path}: ${reason}` : reason }];
}

/**
 * @param {Judged} object
 * @param {Finding} finding
 * @param {"violation" | "notice"} kind
 * @returns {import("./editor.js").Mark}
 */
function markOf(object, finding, kind) {
  const { line, policy, rule, problem } = finding;
  const action = actionOf(finding);
  const run = () => void apply(object, finding).catch((error) => say(`Not applied: ${error.message}`, true));
  return {
    line,
    kind,
    source: rule ? `${policy}/${rule}` : policy,
    message: problem,
    action: action === undefined ? undefined : { name: action, run },
  };
}

function showNothing() {
  showStatus("neutral", "Nothing to check yet.", []);
  showInstead("What is wrong will be listed here, by object, with the line and what mends it.");
}

/** @param {Wrong[]} wrong */
function showWrong(wrong) {
  const which = wrong.map(({ policy, message }) => `the settings of ${policy} are not valid: ${message}`);
  showStatus("unjudged", "Nothing was checked.", [`${which.join("; ")}.`]);
  showInstead("Nothing was checked with these settings.");
}

/** @param {Error} error */
function showFailure(error) {
  const crashed = error instanceof Crash;
  showStatus("unjudged", "This could not be checked.", [`${error.message}.`]);
  showInstead(crashed ? "The policies are started again with the next change." : "Nothing was checked.",
    h("button", { type: "button", click: changed }, "Try again"));
}

/**
 * Shows something in place of the findings, which are no longer valid.
 *
 * @param {string} text
 * @param {HTMLElement} [button]
 */
function showInstead(text, button) {
  byId("panel-findings").replaceChildren(h("p", { class: "instead" }, text), button ?? "");
  editor.mark([]);
}

/**
 * @param {Judged} object
 * @param {Finding} finding
 */
async function apply({ policies: _, violations, notices, moreViolations, moreNotices, ...place }, finding) {
  const outdated = () => new Error("the text has changed since, and is being checked again");
  const asked = version;
  if (shown !== asked) throw outdated();
  const change = await policies.ask("mend", editor.doc.toString(), place, finding.edits ?? []);
  if (version !== asked) throw outdated();
  editor.change(change, "input.apply");
  say(`${actionOf(finding)?.replace("Apply", "Applied")}. Undo takes it back.`);
  submit();
}

let starting = false;

async function start() {
  if (starting) return;
  starting = true;
  try {
    const infos = await policies.ask("policies");
    settings = new Settings(byId("panel-settings"), infos, { changed, copy, copyLink });
    restoreLink();
    submit();
  } catch (error) {
    showFailure(/** @type {Error} */ (error));
  } finally {
    starting = false;
  }
}

function restoreLink() {
  try {
    const shared = readLink(location.hash);
    if (!shared || !settings) return;
    const unknown = settings.restore(shared);
    if (unknown.length > 0) say(`This link has settings for what is no policy here: ${unknown.join(", ")}.`, true);
    else say("The settings are those of the link.");
    changed();
  } catch (error) {
    say(`The settings of this link were not taken: ${/** @type {Error} */ (error).message}.`, true);
  }
}

/**
 * @param {string} text
 * @param {string} what
 * @param {string} otherwise what to do if the browser does not allow it
 */
async function copy(text, what, otherwise = `copy this: ${text}`) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what}: copied.`);
  } catch {
    say(`${what} could not be copied; ${otherwise}`, true);
  }
}

function copyLink() {
  if (!settings) return;
  const { broken, shared } = settings;
  if (broken[0]) say(`There is no link while the settings of ${broken[0].policy} cannot be read.`, true);
  else copy(linkTo(shared, location.href), "The link");
}

/** @param {string} text */
function replace(text) {
  editor.replace(text);
  submit();
}

opening(replace);
byId("undo").addEventListener("click", () => editor.undo());
byId("copy").addEventListener("click", () => copy(editor.doc.toString(), "The manifests", "select and copy them."));
byId("clear").addEventListener("click", () => replace(""));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  select("findings");
  byId("panel-findings").focus();
});

// Undo works everywhere, for example after pressing Apply in the list, except in fields with their own undo.
addEventListener("keydown", (event) => {
  const target = /** @type {Element} */ (event.target);
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.defaultPrevented) return;
  if (target.closest("input, textarea, select, #editor")) return;
  event.preventDefault();
  if (event.shiftKey) editor.redo();
  else editor.undo();
});

addEventListener("hashchange", restoreLink);
showNothing();
start();
