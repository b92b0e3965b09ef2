import { Checks } from "./checks.js";
import { byId, h } from "./dom.js";
import { Editor } from "./editor.js";
import { download, dropOverlay, exporting } from "./exporting.js";
import { showFileTabs } from "./file-tabs.js";
import { Findings } from "./findings.js";
import { showInForce } from "./in-force.js";
import { keeping } from "./keep.js";
import { linkTo, readLink } from "./link.js";
import { opening } from "./opening.js";
import { Crash, Policies } from "./policies.js";
import { preview } from "./preview.js";
import { outdateStatus, say, showStatus } from "./status.js";
import { tabs } from "./tabs.js";
import { actionOf, count, lookOf, summaryOf } from "./words.js";

/**
 * @typedef {import("flytewarden").Report} Report
 * @typedef {import("flytewarden").Judged} Judged
 * @typedef {import("flytewarden").Finding} Finding
 * @typedef {import("./worker.js").Wrong} Wrong
 *
 * The subject of a check: everything that a verdict depends on, as it was at some moment.
 * @typedef {{ version: number, files: Editor["files"], broken: Wrong[] } & import("./link.js").Shared} Subject
 */

/** How long to wait after the last keystroke before a check, in ms. */
const PAUSE = 150;

const policies = new Policies({ told, loading });
const editor = new Editor(byId("editor"), {
  changed() {
    // The message was about the old text.
    say("");
    isOwn = true;
    changed();
  },
  shown: showFiles,
});
const findings = new Findings(byId("list"), {
  jump: (file, line) => editor.jump(file, line), apply, undo: () => editor.undo(), openExample: () => byId("open-example").click(),
});
const select = tabs(["findings", "settings"]);
const checks = new Checks(policies, run, done);
const keep = keeping(manifests, () => isOwn);

/** @type {import("./settings.js").Settings | undefined} loaded after what shows a verdict */
let settings;
/** Whether the text is the user's, and not the example of the first visit. */
let isOwn = false;
/** @type {Report | undefined} the report that is shown */
let report;
/** Counts the states of the page: only a verdict on the last one is useful. */
let version = 0;
/** The state that the shown findings belong to. */
let shown = -1;
/** @type {import("./worker.js").Verdict | undefined} */
let lastVerdict;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pause;
/** How much of the policies is loaded, from 0 to 1. */
let loaded = 0;

function changed() {
  version += 1;
  outdateStatus();
  clearTimeout(pause);
  pause = setTimeout(submit, PAUSE);
  keep.changed();
  if (settings) showInForce(settings.shared, { show: () => select("settings"), reset });
  else showLoading();
}

function reset() {
  settings?.restore({ settings: {}, namespace: "", imageUsers: "" });
  history.replaceState(null, "", location.pathname + location.search);
  changed();
}

/** @param {number} part how much of the policies is there, from 0 to 1 */
function loading(part) {
  loaded = part;
  // Policies that start again have already checked something.
  if (settings) return;
  if (report) byId("busy").textContent = progress();
  else showStatus("neutral", `${progress()}.`, []);
}

function progress() {
  return `Loading the policies: ${Math.round(loaded * 100)} % of ${(POLICIES_BYTES / 1e6).toFixed(1)} MB`;
}

/** Shows nothing that reads as a verdict: the policies that check this text are still being loaded. */
function showLoading() {
  show({});
  loading(loaded);
}

function submit() {
  clearTimeout(pause);
  if (!settings) return void start();
  outdateStatus();
  checks.submit({ version, files: editor.files, broken: settings.broken, ...settings.shared });
}

/** The files as they are now. */
function manifests() {
  return textsOf(editor.files);
}

/**
 * @param {Editor["files"]} files
 * @returns {import("./editor.js").Manifest[]}
 */
function textsOf(files) {
  return files.map(({ name, isFound, doc }) => ({ name, isFound, text: doc.toString() }));
}

/** Shows the files' tabs, with what is found in each. */
function showFiles() {
  const names = editor.files.map(({ name }) => name);
  showFileTabs(names, editor.file.name, report, (name) => editor.show(name));
  byId("download").textContent = names.length > 1 ? "Download this file" : "Download";
  byId("download-all").hidden = names.length < 2;
}

/**
 * @param {Subject} subject
 * @returns {Promise<import("./worker.js").Verdict>}
 */
async function run({ files, broken, ...shared }) {
  if (broken.length > 0) return { wrong: broken };
  return policies.ask("check", textsOf(files), shared);
}

/**
 * @param {Subject} subject
 * @param {{ verdict?: import("./worker.js").Verdict, error?: Error }} outcome
 */
function done(subject, { verdict, error }) {
  if (subject.version === version) show({ verdict, error });
}

/**
 * Shows the outcome of a check of the files as they are now.
 *
 * @param {{ verdict?: import("./worker.js").Verdict, error?: Error }} outcome
 */
function show({ verdict, error }) {
  shown = version;
  lastVerdict = verdict;
  report = verdict?.report;
  // The tools need the policies.
  byId("tools").hidden = report === undefined || settings === undefined;
  settings?.explain(verdict?.wrong ?? []);
  if (error) showFailure(error);
  else if (verdict?.wrong) showWrong(verdict.wrong);
  else if (verdict?.report) showReport(verdict.report, verdict);
  else showNothing();
  showFiles();
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
 * @param {import("./worker.js").Verdict} verdict
 */
function showReport(report, { missing, unfixable = new Map() }) {
  showSummary(report, missing);
  findings.show(report, unfixable);
  const number = fixable(report, unfixable);
  fixAll.hidden = number === 0 && !lacksUsers(report);
  fixAll.textContent = number > 0 ? `Fix all that needs no decision (${number})…` : "Set missing users…";
  /** @type {Map<string, import("./editor.js").Mark[]>} */
  const marks = new Map();
  const add = (/** @type {string} */ file, /** @type {import("./editor.js").Mark[]} */ own) => {
    const others = marks.get(file);
    if (others) others.push(...own);
    else marks.set(file, own);
  };
  for (const entry of report.unjudged) add(entry.file, markOfUnjudged(entry));
  for (const object of report.objects) {
    add(object.file, [
      ...object.violations.map((finding) => markOf(object, finding, "violation", unfixable)),
      ...object.notices.map((finding) => markOf(object, finding, "notice", unfixable)),
    ]);
  }
  editor.mark(marks);
}

/**
 * How many findings need no decision.
 *
 * @param {Report} report
 * @param {Map<Finding, string>} unfixable
 */
function fixable(report, unfixable) {
  const findings = report.objects.flatMap(({ violations }) => violations);
  return findings.filter((finding) => (finding.edits ?? []).length > 0 && !unfixable.has(finding)).length;
}

/** @param {Report} report */
function lacksUsers(report) {
  return report.objects.some(({ violations }) => violations.some(({ rule }) => rule === "not-proven-non-root"));
}

async function fixEverything() {
  if (!settings || !report) return;
  const asked = version;
  const before = manifests();
  const { shared } = settings;
  const { violations } = report.summary;
  const isFillFirst = fixable(report, lastVerdict?.unfixable ?? new Map()) === 0;
  try {
    const fixes = await preview(before, violations, isFillFirst, (fill) => policies.ask("fixAll", before, shared, fill));
    if (!fixes) return;
    if (version !== asked) return say("Not applied: the text has changed since.", true);
    editor.replaceAll(fixes.texts);
    say(`Fixed ${count(violations - fixes.violations, "finding")}. Undo reverts it.`);
    submit();
  } catch (error) {
    say(`Not applied: ${/** @type {Error} */ (error).message}`, true);
  }
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
 * @param {Map<Finding, string>} unfixable
 * @returns {import("./editor.js").Mark}
 */
function markOf(object, finding, kind, unfixable) {
  const { line, policy, rule, problem } = finding;
  const action = unfixable.has(finding) ? undefined : actionOf(finding);
  const run = () => void apply(object, finding).catch((error) => say(`Not applied: ${error.message}`, true));
  return {
    line,
    kind,
    source: rule ? `${policy}/${rule}` : policy,
    message: problem,
    action: action === undefined ? undefined : { name: `Apply: ${action}`, run },
  };
}

function showNothing() {
  showStatus("neutral", "Nothing to check yet.", []);
  showInstead("The problems will be listed here, by object, each with its line and its fix.");
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
  showInstead(crashed ? "The policies restart with the next change." : "Nothing was checked.",
    h("button", { type: "button", click: changed }, "Try again"));
}

/**
 * Shows something in place of the findings, which are no longer valid.
 *
 * @param {string} text
 * @param {HTMLElement} [button]
 */
function showInstead(text, button) {
  byId("list").replaceChildren(h("p", { class: "instead" }, text), button ?? "");
  editor.mark(new Map());
}

/**
 * @param {Judged} object
 * @param {Finding} finding
 */
async function apply({ policies: _, violations, notices, moreViolations, moreNotices, ...place }, finding) {
  const outdated = () => new Error("the text has changed since, and is being checked again");
  const asked = version;
  if (shown !== asked) throw outdated();
  const doc = editor.files.find(({ name }) => name === place.file)?.doc;
  const change = await policies.ask("mend", doc?.toString() ?? "", place, finding.edits ?? []);
  if (version !== asked) throw outdated();
  editor.change(place.file, change);
  const applied = `Applied: ${actionOf(finding)}`;
  say(`${applied}. Undo reverts it.`);
  findings.confirm({ ...place, text: applied });
  submit();
}

let starting = false;

async function start() {
  if (starting) return;
  starting = true;
  try {
    const [infos, { Settings }] = await Promise.all([policies.ask("policies"), import("./settings.js")]);
    settings = new Settings(byId("panel-settings"), infos, { changed, copy, copyLink, say });
    byId("version").textContent = infos[0]?.version ?? "";
    byId("busy").textContent = "";
    byId("tools").hidden = report === undefined;
    restoreLink();
    // The example has been checked in advance.
    if (!report || shown !== version) submit();
  } catch (error) {
    show({ error: /** @type {Error} */ (error) });
  } finally {
    starting = false;
  }
}

function restoreLink() {
  try {
    const shared = readLink(location.hash);
    if (!shared || !settings) return;
    const unknown = settings.restore(shared);
    if (unknown.length > 0) say(`This link has settings for unknown policies: ${unknown.join(", ")}.`, true);
    else say("Loaded the settings from the link.");
    changed();
  } catch (error) {
    say(`The settings of this link cannot be used: ${/** @type {Error} */ (error).message}.`, true);
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
  if (broken[0]) say(`No link: the settings of ${broken[0].policy} cannot be read.`, true);
  else copy(linkTo(shared, location.href), "The link");
}

/** @param {import("./editor.js").Manifest[]} files */
function open(files) {
  editor.open(files);
  submit();
}

const fixAll = h("button", { type: "button", id: "fix-all", click: fixEverything });
byId("tools").append(fixAll, exporting(writeReport, copy, (problem) => say(problem, true)));

/** @param {import("./exporting.js").Format} format */
async function writeReport(format) {
  if (!report) throw new Error("there is no report");
  return policies.ask("write", report, format);
}

opening(open);
dropOverlay();
byId("download").addEventListener("click", () => save(editor.file));
byId("download-all").addEventListener("click", () => editor.files.forEach(save));
byId("undo").addEventListener("click", () => editor.undo());
byId("copy").addEventListener("click", () => copy(editor.file.doc.toString(), "The manifests", "select and copy them."));
byId("clear").addEventListener("click", () => open([]));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  select("findings");
  byId("list").focus();
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
showLoading();
start();
firstText();

// Without a service worker, the page works as long as there is a network.
addEventListener("load", () => navigator.serviceWorker?.register("service-worker.js").catch(() => {}));

/** @param {{ name: string, doc: import("@codemirror/state").Text }} file */
function save({ name, doc }) {
  download(doc.toString(), name.split("/").at(-1) ?? name, "application/yaml");
}

/**
 * Shows the kept text or, without one, an example with findings. The example's report comes with the page, so it does not wait for the
 * policies.
 */
async function firstText() {
  if (keep.kept !== null) return begin(keep.kept, "This tab kept these manifests.");
  try {
    const responses = await Promise.all([fetch("examples/before.yaml"), fetch("examples/before.json")]);
    const [text, advance] = await Promise.all(responses.map((response) => response.text()));
    // The user may have opened a text in the meantime.
    if (responses.some(({ ok }) => !ok) || text === undefined || advance === undefined || isOwn) return;
    // A link's settings may change the verdict.
    const report = !settings && location.hash === "" ? JSON.parse(advance) : undefined;
    const words = report ? "This is an example, checked in advance." : "This is an example.";
    begin([{ name: "before.yaml", text }], `${words} Paste or open your own manifests in its place.`);
    isOwn = false;
    if (!report) return;
    show({ verdict: { report } });
    loading(loaded);
  } catch {
    // Without it, the page starts empty.
  }
}

/**
 * @param {import("./editor.js").Manifest[]} files
 * @param {string} words what it is, unless a link has brought a message
 */
function begin(files, words) {
  const { textContent, className } = byId("message");
  open(files);
  if (textContent) say(textContent, className === "problem");
  else say(words);
}
