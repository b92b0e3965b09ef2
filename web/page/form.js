// Controls for the questions about a policy's settings.

import { h, prose } from "./dom.js";
import { isMap } from "./link.js";

/**
 * @typedef {import("flytewarden").Question} Question
 *
 * The place of a control's value; `undefined` means not set.
 * @typedef {{ get: () => unknown, set: (value: unknown) => void }} Slot
 *
 * @typedef {{ element: HTMLElement, refresh: () => void }} Control
 */

/** The text of a control whose value only YAML can express. */
const IN_YAML = "set in YAML";

/**
 * The controls for the questions about one map.
 *
 * @param {Question[]} questions
 * @param {Record<string, unknown>} values
 * @param {() => void} onChange called after `values` has changed
 * @param {string} prefix the prefix of the controls' ids
 * @returns {HTMLElement[]}
 */
export function controls(questions, values, onChange, prefix) {
  const refreshAll = () => fields.forEach(({ refresh }) => refresh());
  const fields = questions.map((question) => {
    const slot = {
      get: () => values[question.variable],
      set: (/** @type {unknown} */ value) => {
        if (value === undefined) delete values[question.variable];
        else values[question.variable] = value;
        refreshAll();
        onChange();
      },
    };
    const { element, refresh } = field(question, slot, `${prefix}-${question.variable}`);
    return {
      element,
      refresh() {
        element.hidden = slot.get() === undefined && !isAsked(question, questions, values);
        refresh();
      },
    };
  });
  refreshAll();
  return fields.map(({ element }) => element);
}

/**
 * Whether a question applies, given the answers to others.
 *
 * @param {Question} question
 * @param {Question[]} questions
 * @param {Record<string, unknown>} values
 */
function isAsked({ show_if: condition }, questions, values) {
  if (!condition) return true;
  const [variable = "", wanted] = condition.split("=");
  const value = values[variable] ?? questions.find((question) => question.variable === variable)?.default;
  return String(value) === wanted;
}

/**
 * @param {Question} question
 * @param {Slot} slot
 * @param {string} id
 * @returns {Control}
 */
function field(question, slot, id) {
  const hint = h("p", { class: "hint", id: `${id}-hint` }, ...prose(question.description), ...defaultHint(question));
  if (question.type === "sequence[") return sequence(question, slot, id, hint);
  const control = question.type === "boolean" || question.type === "enum" ? choice : typed;
  const { element, refresh } = control(question, slot, id);
  const label = h("label", { for: id }, question.label, " ", h("code", {}, question.variable),
    question.required && " (required)");
  return { element: h("div", { class: "field" }, label, element, hint), refresh };
}

/**
 * @param {Question} question
 * @returns {Node[]}
 */
function defaultHint({ type, default: value, required }) {
  if (required || type === "boolean" || type === "enum" || value === undefined) return [];
  return [document.createTextNode(` Default: ${defaultText(value)}.`)];
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function defaultText(value) {
  if (!Array.isArray(value)) return String(value);
  if (value.length === 0) return "none";
  const entryText = (/** @type {Record<string, unknown>} */ entry) =>
    Object.entries(entry).map(([key, own]) => `${key} ${[own].flat().join(" or ")}`).join(", ");
  return value.map((entry) => (isMap(entry) ? entryText(entry) : String(entry))).join("; ");
}

/**
 * A choice, with an option to leave the setting unset.
 *
 * @param {Question} question
 * @param {Slot} slot
 * @param {string} id
 * @returns {Control}
 */
function choice({ type, options = [], default: value }, slot, id) {
  const values = type === "boolean" ? [true, false] : options;
  const unset = value === undefined ? "not set" : `not set (default: ${value})`;
  const inYaml = h("option", { value: IN_YAML }, IN_YAML);
  const select = h("select", {
    id,
    "aria-describedby": `${id}-hint`,
    change() {
      if (select.value !== IN_YAML) slot.set(select.value === "" ? undefined : values[Number(select.value)]);
    },
  }, h("option", { value: "" }, unset), ...values.map((each, index) => h("option", { value: index }, String(each))));
  return {
    element: select,
    refresh() {
      const current = slot.get();
      const index = values.findIndex((each) => each === current);
      inYaml.remove();
      if (current !== undefined && index < 0) select.append(inYaml);
      select.value = current === undefined ? "" : index < 0 ? IN_YAML : String(index);
    },
  };
}

/** Converts typed text into a value, and back; `undefined` if it cannot be typed. */
const TYPED = {
  string: {
    rows: 0,
    parse: (/** @type {string} */ text) => text || undefined,
    show: (/** @type {unknown} */ value) => (typeof value === "string" && !value.includes("\n") ? value : undefined),
  },
  // Text that is not a whole number is kept: the policy reports the error.
  int: {
    rows: 0,
    parse: (/** @type {string} */ text) => (/^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text.trim() || undefined),
    show: (/** @type {unknown} */ value) => (["number", "string"].includes(typeof value) ? String(value) : undefined),
  },
  multiline: {
    rows: 4,
    parse: (/** @type {string} */ text) => text || undefined,
    show: (/** @type {unknown} */ value) => (typeof value === "string" ? value : undefined),
  },
  "array[": {
    rows: 2,
    parse(/** @type {string} */ text) {
      const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
      return lines.length > 0 ? lines : undefined;
    },
    show(/** @type {unknown} */ value) {
      const isLine = (/** @type {unknown} */ text) =>
        typeof text === "string" && text !== "" && text === text.trim() && !text.includes("\n");
      return Array.isArray(value) && value.every(isLine) ? value.join("\n") : undefined;
    },
  },
};

/**
 * A text control: a line, several lines, or a list with one entry per line.
 *
 * @param {Question} question
 * @param {Slot} slot
 * @param {string} id
 * @returns {Control}
 */
function typed(question, slot, id) {
  const { rows, parse, show } = TYPED[/** @type {keyof typeof TYPED} */ (question.type)] ?? TYPED.string;
  const attributes = {
    id,
    "aria-describedby": `${id}-hint`,
    spellcheck: "false",
    autocomplete: "off",
    input: () => slot.set(parse(input.value)),
  };
  const input = rows > 0 ? h("textarea", { ...attributes, rows }) : h("input", { ...attributes, type: "text" });
  const isList = question.type === "array[";
  const empty = emptyList(question, slot);
  return {
    element: isList ? h("div", {}, input, empty.element) : input,
    refresh() {
      const value = slot.get();
      const text = value === undefined ? "" : show(value);
      input.disabled = text === undefined;
      // While the user types, the text can differ from its value, for example by a trailing blank.
      if (text === undefined) input.value = IN_YAML;
      else if (document.activeElement !== input) input.value = text;
      if (isList) empty.refresh();
    },
  };
}

/**
 * A box that distinguishes an empty list from one that is not set.
 *
 * @param {Question} question
 * @param {Slot} slot
 * @returns {Control}
 */
function emptyList(question, slot) {
  const box = h("input", { type: "checkbox", change: () => slot.set(box.checked ? [] : undefined) });
  const element = h("label", { class: "empty" }, box, `${question.label}: set to an empty list`);
  return {
    element,
    refresh() {
      const value = slot.get();
      box.checked = Array.isArray(value) && value.length === 0;
      const defaultIsEmpty = Array.isArray(question.default) && question.default.length === 0;
      element.hidden = !(value === undefined ? !defaultIsEmpty : box.checked);
    },
  };
}

/**
 * A list of maps, each with its own questions.
 *
 * @param {Question} question
 * @param {Slot} slot
 * @param {string} id
 * @param {HTMLElement} hint
 * @returns {Control}
 */
function sequence(question, slot, id, hint) {
  const questions = question.sequence_questions ?? [];
  const known = new Set(questions.map(({ variable }) => variable));
  const canShow = (/** @type {unknown} */ entry) => isMap(entry) && Object.keys(entry).every((key) => known.has(key));
  /** @returns {Record<string, unknown>[] | undefined} `undefined` if only YAML can express the value */
  const shown = () => {
    const value = slot.get() ?? [];
    return Array.isArray(value) && value.every(canShow) ? value : undefined;
  };
  const list = () => shown() ?? [];
  const byDefault = /** @type {Record<string, unknown>[]} */ (question.default ?? []);

  const entries = h("div", {});
  const empty = emptyList(question, slot);
  const inYaml = h("p", { class: "hint" }, "Set in YAML.");
  const add = h("button", { type: "button", click: () => change([...list(), {}], true) }, "Add an entry");
  const useDefault = h("button", { type: "button", click: () => change(structuredClone(byDefault), true) },
    "Start from the default");

  /**
   * @param {Record<string, unknown>[]} value
   * @param {boolean} focus whether to move the focus to the last entry
   */
  const change = (value, focus) => {
    slot.set(value.length > 0 ? value : undefined);
    draw();
    const last = focus ? entries.lastElementChild?.querySelector("input, textarea") : add;
    /** @type {HTMLElement | null | undefined} */ (last)?.focus();
  };

  const draw = () => {
    entries.replaceChildren(...list().map((entry, index) => {
      const name = `${question.label} ${index + 1}`;
      const remove = () => change(list().filter((_, other) => other !== index), false);
      return h("fieldset", {}, h("legend", {}, name),
        ...controls(questions, entry, () => slot.set(list()), `${id}-${index}`),
        h("button", { type: "button", "aria-label": `Remove ${name}`, click: remove }, "Remove"));
    }));
  };

  draw();
  return {
    element: h("fieldset", { class: "field", "aria-describedby": `${id}-hint` },
      h("legend", {}, question.label, " ", h("code", {}, question.variable)),
      inYaml, entries, h("div", { class: "buttons" }, add, useDefault), empty.element, hint),
    refresh() {
      inYaml.hidden = shown() !== undefined;
      add.hidden = shown() === undefined;
      useDefault.hidden = shown()?.length !== 0 || byDefault.length === 0;
      empty.refresh();
    },
  };
}
