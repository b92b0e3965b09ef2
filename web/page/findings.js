import rules from "../../dist/npm/rules.json";
import { h, prose } from "./dom.js";
import { SIGNS } from "./editor.js";
import { actionOf, count, inValues, placeOf, restOf, titleOf } from "./words.js";

/**
 * @typedef {import("flytewarden").Report} Report
 * @typedef {import("flytewarden").Judged} Judged
 * @typedef {import("flytewarden").Unjudged} Unjudged
 * @typedef {import("flytewarden").Finding} Finding
 *
 * @typedef {object} Handlers
 * @property {(file: string, line: number) => void} jump
 * @property {(object: Judged, finding: Finding) => Promise<void>} apply throws if it cannot be applied
 * @property {() => void} undo
 * @property {() => void} openExample
 *
 * @typedef {import("flytewarden").Place & { text: string }} Confirmed the object in which something was applied, and what
 * @typedef {{ policy: string, severity: string, kind: string }} Filter empty for all
 */

/** The most reasons to list why a sentence is not proven. */
const MOST_MISSING = 3;

/** How many findings are listed at a time: a page with thousands of them is slow, and too long to read. */
const PAGE = 100;

const RULES = new Map(rules.map((rule) => [`${rule.policy}/${rule.rule}`, rule]));

const NAMES = { violation: "Violation", notice: "Notice", unjudged: "Not checked" };

/**
 * A part of the list, built when it is shown.
 *
 * @typedef {{ findings: number, build: () => HTMLElement }} Part
 */

const STATES = {
  holds: { sign: "✓", word: "holds" },
  broken: { sign: SIGNS.violation, word: "broken" },
  "not-shown": { sign: "?", word: "not shown" },
};

/**
 * Shows whether each sentence of the "Security Overview" holds, as far as the manifests show.
 *
 * @param {Report["sentences"]} sentences
 */
function sentences(sentences) {
  return h("section", { class: "sentences", "aria-labelledby": "sentences-title" },
    h("h3", { id: "sentences-title" }, "Flyte's Security Overview"),
    h("ul", {}, ...sentences.map(({ sentence, state, missing = [] }) =>
      h("li", { class: state },
        h("span", { class: "state" },
          h("span", { "aria-hidden": "true" }, `${STATES[state].sign} `), STATES[state].word),
        ` ${sentence}`,
        ...missing.slice(0, MOST_MISSING).map((reason) => h("p", { class: "missing" }, ...prose(reason)))))));
}

/** The findings of a report as a list. */
export class Findings {
  #root;
  #handlers;
  /** @type {Report | undefined} */
  #report;
  /** @type {Confirmed | undefined} */
  #confirmed;
  /** @type {Map<Finding, string>} */
  #unfixable = new Map();
  /** @type {Set<string>} the objects that are folded */
  #folded = new Set();
  /** @type {Filter} */
  #filter = { policy: "", severity: "", kind: "" };

  /**
   * @param {HTMLElement} root
   * @param {Handlers} handlers
   */
  constructor(root, handlers) {
    this.#root = root;
    this.#handlers = handlers;
  }

  /**
   * Confirms an applied fix in the place of its button, with the next report.
   *
   * @param {Confirmed} confirmed
   */
  confirm(confirmed) {
    this.#confirmed = confirmed;
  }

  /**
   * @param {Report} report
   * @param {Map<Finding, string>} unfixable the findings that cannot be applied, and why
   */
  show(report, unfixable) {
    this.#report = report;
    this.#unfixable = unfixable;
    const focused = this.#buttons().indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    this.#draw(report);
    // Keyboard users continue where they were in the list, even if the finding there is fixed.
    if (focused >= 0) (this.#buttons()[focused] ?? this.#buttons().at(-1) ?? this.#root).focus();
    this.#confirmed = undefined;
  }

  /** @param {Report} report */
  #draw(report) {
    const { policy, severity, kind } = this.#filter;
    const isWanted = (/** @type {Finding} */ finding) =>
      (policy === "" || finding.policy === policy) && (severity === "" || finding.severity === severity);
    const objects = report.objects.filter((object) => kind === "" || object.kind === kind).map((object) => ({
      ...object, violations: object.violations.filter(isWanted), notices: object.notices.filter(isWanted),
    }));
    const findingsOf = (/** @type {Judged} */ { violations, notices, moreViolations }) =>
      violations.length + notices.length + (policy === "" && severity === "" ? moreViolations : 0);
    const quiet = report.objects.filter((object) => findingsOf(object) === 0);
    const shown = objects.filter((object) => findingsOf(object) > 0 || (object.ignored ?? []).length > 0);
    const parts = [
      ...report.unjudged.map((entry) => ({ findings: 1, build: () => this.#unjudged(entry) })),
      ...shown.map((object) => ({ findings: findingsOf(object), build: () => this.#object(object) })),
    ];
    this.#root.replaceChildren();
    if (report.objects.length > 0) this.#root.append(sentences(report.sentences), this.#filters(report));
    else if (report.summary.outOfScope > 0) this.#root.append(this.#nobody(report));
    if (this.#confirmed && !shown.some((object) => this.#isConfirmed(object))) this.#root.append(this.#confirmation());
    this.#add(parts);
    if (quiet.length > 0) this.#root.append(this.#quiet(quiet));
  }

  /**
   * The filters of the list.
   *
   * @param {Report} report
   */
  #filters(report) {
    const all = report.objects.flatMap(({ violations, notices }) => [...violations, ...notices]);
    const kinds = report.objects.filter(({ violations, notices }) => violations.length + notices.length > 0);
    const choices = {
      severity: ["high", "medium", "low", "notice"].filter((each) => all.some(({ severity }) => severity === each)),
      policy: [...new Set(all.map(({ policy }) => policy))].sort(),
      kind: [...new Set(kinds.map(({ kind }) => kind))].sort(),
    };
    const selects = Object.entries(choices).map(([name, values]) => {
      const key = /** @type {keyof Filter} */ (name);
      if (!values.includes(this.#filter[key])) this.#filter[key] = "";
      const plural = { severity: "severities", policy: "policies", kind: "kinds" }[key];
      const select = h("select", {
        "aria-label": `Filter by ${name}`,
        change: () => {
          this.#filter[key] = select.value;
          if (this.#report) this.#draw(this.#report);
          /** @type {HTMLElement | null} */ (this.#root.querySelector(`select[aria-label="Filter by ${name}"]`))?.focus();
        },
      }, h("option", { value: "" }, `All ${plural}`),
      ...values.map((value) => h("option", { value, selected: value === this.#filter[key] }, value)));
      return select;
    });
    return h("div", { class: "filters", hidden: all.length < 2 }, ...selects);
  }

  /** @param {import("flytewarden").Place} place */
  #isConfirmed(place) {
    const { file, kind, name, namespace, line } = this.#confirmed ?? {};
    return place.file === file && place.kind === kind && place.name === name && place.namespace === namespace && place.line === line;
  }

  #confirmation() {
    return h("p", { class: "confirmed" }, "✓ ", this.#confirmed?.text ?? "", ". ",
      h("button", { type: "button", class: "undo", click: this.#handlers.undo }, "Undo this"));
  }

  #buttons() {
    return [...this.#root.querySelectorAll("button")];
  }

  /**
   * Shows a page of the list, and a button for the rest.
   *
   * @param {Part[]} parts
   * @param {Element} [button] replaced by the new page
   */
  #add(parts, button) {
    let findings = 0;
    let end = 0;
    for (; end < parts.length && findings < PAGE; end += 1) findings += parts[end]?.findings ?? 0;
    const elements = parts.slice(0, end).map(({ build }) => build());
    const left = parts.slice(end);
    if (left.length > 0) {
      const number = left.reduce((sum, part) => sum + part.findings, 0);
      const more = h("button", { type: "button", class: "more", click: () => this.#add(left, more) },
        `Show more: ${count(number, "finding")} left`);
      elements.push(more);
    }
    if (button) button.replaceWith(...elements);
    else this.#root.append(...elements);
    if (button) elements[0]?.querySelector("button")?.focus();
  }

  /**
   * Shows what to do if no policy checks any of the objects.
   *
   * @param {Report} report
   */
  #nobody({ outOfScope }) {
    const kinds = Object.entries(outOfScope).map(([kind, number]) => `${number} ${kind}`);
    return h("section", { class: "nobody" },
      h("h3", {}, "No policy checks these objects"),
      h("p", {}, `The policies check none of these objects (${kinds.slice(0, PAGE).join(", ")}). The policies check the workloads, `,
        "ConfigMaps, routes and certificates of flyteadmin, flyteconsole and Flyte's other components. Paste everything that your chart renders:"),
      h("pre", {}, "helm template flyte flyteorg/flyte-core --values values.yaml"),
      h("button", { type: "button", click: this.#handlers.openExample }, "Show an example"));
  }

  /** @param {Unjudged} entry */
  #unjudged({ file, line, document, object, policy, path, reason }) {
    const title = object ?? (document === undefined ? "The manifests" : `Document ${document}`);
    return h("article", { class: "object" },
      h("h3", {}, title, " ", line !== undefined && this.#jump(file, line)),
      h("div", { class: "finding unjudged" },
        this.#kind("unjudged", policy ?? ""),
        h("p", { class: "problem" }, ...prose(path ? `${path}: ${reason}` : reason))));
  }

  /** @param {Judged} object */
  #object(object) {
    const { violations, notices, moreViolations, moreNotices, source, file, line } = object;
    const key = `${file} ${titleOf(object)}`;
    const isOne = this.#report?.objects.every((other) => other.file === file);
    const number = violations.length + notices.length + moreViolations + moreNotices;
    const fold = (/** @type {Event} */ { currentTarget }) => {
      const { open } = /** @type {HTMLDetailsElement} */ (currentTarget);
      if (open) this.#folded.delete(key);
      else this.#folded.add(key);
    };
    return h("details", { class: "object", open: !this.#folded.has(key), toggle: fold },
      h("summary", {}, h("h3", {}, titleOf(object)), h("span", { class: "number" }, count(number, "finding"))),
      h("p", { class: "source" }, !isOne && `${file} `, this.#jump(file, line), source && ` from ${source}`),
      this.#confirmed && this.#isConfirmed(object) && this.#confirmation(),
      ...violations.map((finding) => this.#finding(object, finding, "violation")),
      moreViolations > 0 &&
        h("p", { class: "rest" }, `${SIGNS.violation} and ${count(moreViolations, "more violation")}`),
      ...notices.map((finding) => this.#finding(object, finding, "notice")),
      ...(object.ignored ?? []).map(({ policy, rule, line, by, reason }) =>
        h("p", { class: "place" }, `${policy}/${rule} is ignored by ${by}: ${reason} `, this.#jump(file, line))),
      moreNotices > 0 && h("p", { class: "rest" }, `${SIGNS.notice} and ${count(moreNotices, "more notice")}`));
  }

  /**
   * @param {Judged} object
   * @param {Finding} finding
   * @param {"violation" | "notice"} kind
   */
  #finding(object, finding, kind) {
    const refusal = this.#unfixable.get(finding);
    const action = refusal === undefined ? actionOf(finding) : undefined;
    return h("div", { class: `finding ${kind}` },
      this.#kind(kind, finding.rule ? `${finding.policy}/${finding.rule}` : finding.policy, finding.severity),
      h("p", { class: "place" }, finding.path && h("code", {}, placeOf(finding)), " ", this.#jump(object.file, finding.line)),
      h("p", { class: "problem" }, ...prose(finding.problem)),
      this.#mend(object, finding, action),
      finding.chartValue && h("p", { class: "mend" }, inValues(finding.chartValue)),
      refusal !== undefined && h("p", { class: "place" }, `The page cannot make this change: ${refusal}.`),
      ...(finding.related ?? []).map(({ object, file, line }) =>
        h("p", { class: "place" }, `See ${object} `, this.#jump(file, line))));
  }

  /**
   * The fix, as one sentence. The part of it that can be applied is a button.
   *
   * @param {Judged} object
   * @param {Finding} finding
   * @param {string | undefined} action
   */
  #mend(object, finding, action) {
    const mend = finding.mend ?? "";
    if (action === undefined) return mend !== "" && h("p", { class: "mend" }, "→ ", ...prose(mend));
    const rest = restOf(mend, action);
    const refusal = h("span", { class: "refusal", role: "alert" });
    const run = async () => {
      refusal.textContent = "";
      await this.#handlers.apply(object, finding).catch((error) => refusal.append(`Not applied: ${error.message}`));
    };
    const button = h("button", { type: "button", class: "apply", click: run }, `Apply: ${action}`);
    if (rest !== undefined) return h("p", { class: "mend sentence" }, "→ ", button, ...prose(rest), " ", refusal);
    return h("div", {},
      h("p", { class: "mend" }, "→ ", ...prose(mend)),
      h("p", { class: "action" }, button, " ", refusal));
  }

  /**
   * @param {keyof typeof NAMES} kind
   * @param {string} source
   * @param {string} [severity]
   */
  #kind(kind, source, severity) {
    const rule = RULES.get(source);
    return h("div", { class: "kind" },
      h("span", { class: "badge" }, h("span", { "aria-hidden": "true" }, `${SIGNS[kind]} `), NAMES[kind]),
      kind === "violation" && severity && h("span", { class: `severity ${severity}` }, severity),
      " ", rule ? this.#rule(source, rule) : source && h("span", { class: "rule" }, source));
  }

  /**
   * The explanation of a rule, collapsed.
   *
   * @param {string} name
   * @param {(typeof rules)[number]} rule
   */
  #rule(name, { summary, help, page }) {
    return h("details", { class: "rule" },
      h("summary", {}, name),
      h("p", {}, "Finds ", ...prose(`${summary}. ${help}`), " ",
        h("a", { href: page, target: "_blank", rel: "noreferrer" }, "More")));
  }

  /**
   * @param {string} file
   * @param {number} line
   */
  #jump(file, line) {
    const jump = () => this.#handlers.jump(file, line);
    return h("button", { type: "button", class: "jump", "aria-label": `Go to line ${line}`, click: jump },
      `line ${line}`);
  }

  /** @param {Judged[]} objects */
  #quiet(objects) {
    const listed = objects.slice(0, PAGE);
    return h("details", { class: "quiet" },
      h("summary", {}, `${count(objects.length, "object")} without findings`),
      h("ul", {}, ...listed.map((object) => h("li", {}, titleOf(object), " ", this.#jump(object.file, object.line)))),
      objects.length > PAGE && h("p", {}, `and ${objects.length - PAGE} more`));
  }
}
