import { defaultKeymap, history, historyKeymap, isolateHistory, redo, undo } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { yaml } from "@codemirror/legacy-modes/mode/yaml";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState, RangeSet, StateEffect, StateField, Transaction } from "@codemirror/state";
import {
  Decoration, EditorView, GutterMarker, WidgetType, drawSelection, gutter, keymap, lineNumbers, placeholder,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { smallestChange } from "./change.js";
import { h, printable } from "./dom.js";

/**
 * A remark on a line.
 *
 * @typedef {object} Mark
 * @property {number} line
 * @property {"violation" | "notice" | "unjudged"} kind
 * @property {string} source where it comes from
 * @property {string} message
 * @property {{ name: string, run: () => void }} [action]
 *
 * @typedef {{ lines: import("@codemirror/view").DecorationSet, gutter: RangeSet<GutterMarker> }} Shown
 */

/** The sign of each kind, so that kinds can be told apart without colour. */
export const SIGNS = { violation: "✗", notice: "i", unjudged: "!" };
const WORST_FIRST = /** @type {const} */ (["unjudged", "violation", "notice"]);
const LONGEST_MESSAGE = 110;

class Sign extends GutterMarker {
  /** @param {Mark["kind"]} kind */
  constructor(kind) {
    super();
    this.kind = kind;
  }

  toDOM() {
    return h("span", { class: `sign ${this.kind}` }, SIGNS[this.kind]);
  }
}

class Message extends WidgetType {
  /**
   * @param {Mark} mark
   * @param {number} more
   */
  constructor(mark, more) {
    super();
    this.kind = mark.kind;
    this.whole = mark.message;
    const isLong = this.whole.length > LONGEST_MESSAGE;
    const short = isLong ? `${this.whole.slice(0, LONGEST_MESSAGE - 1)}…` : this.whole;
    this.text = `${SIGNS[mark.kind]} ${short}${more ? ` (and ${more} more)` : ""}`;
  }

  /** @param {Message} other */
  eq(other) {
    return other.text === this.text && other.whole === this.whole;
  }

  toDOM() {
    return h("span", { class: `message ${this.kind}`, title: printable(this.whole) }, this.text);
  }
}

/** @type {import("@codemirror/state").StateEffectType<Mark[]>} */
const showMarks = StateEffect.define();

/** @type {StateField<Shown>} */
const shown = StateField.define({
  create: () => ({ lines: Decoration.none, gutter: RangeSet.empty }),
  update(value, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(showMarks)) return draw(transaction.state.doc, effect.value);
    }
    if (!transaction.docChanged) return value;
    return { lines: value.lines.map(transaction.changes), gutter: value.gutter.map(transaction.changes) };
  },
  provide: (field) => [
    EditorView.decorations.from(field, ({ lines }) => lines),
    gutter({ class: "signs", markers: (view) => view.state.field(field).gutter }),
  ],
});

/** @type {import("@codemirror/state").StateEffectType<import("./change.js").Change>} */
const showChange = StateEffect.define();

/** The lines that the last fix changed, until the next change. */
const changedLines = StateField.define({
  create: () => Decoration.none,
  update(value, transaction) {
    for (const effect of transaction.effects) {
      if (!effect.is(showChange)) continue;
      const { doc } = transaction.state;
      const { from, insert } = effect.value;
      const [first, last] = [from, from + insert.length].map((at) => doc.lineAt(Math.min(at, doc.length)).number);
      const lines = [];
      for (let line = first ?? 1; line <= (last ?? 1); line += 1) {
        lines.push(Decoration.line({ class: "changed" }).range(doc.line(line).from));
      }
      return Decoration.set(lines);
    }
    return transaction.docChanged ? Decoration.none : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/**
 * @param {import("@codemirror/state").Text} doc
 * @param {Mark[]} marks
 * @returns {Shown}
 */
function draw(doc, marks) {
  /** @type {Map<number, Mark[]>} */
  const byLine = new Map();
  for (const mark of marks) {
    const line = Math.min(mark.line, doc.lines);
    byLine.set(line, [...(byLine.get(line) ?? []), mark]);
  }
  const lines = [];
  const signs = [];
  for (const [number, there] of byLine) {
    const line = doc.line(number);
    const kind = WORST_FIRST.find((candidate) => there.some((mark) => mark.kind === candidate));
    const [worst] = there.filter((mark) => mark.kind === kind);
    if (!worst) continue;
    lines.push(Decoration.line({ class: `marked ${worst.kind}`, line: number }).range(line.from));
    lines.push(Decoration.widget({ widget: new Message(worst, there.length - 1), side: 1 }).range(line.to));
    signs.push(new Sign(worst.kind).range(line.from));
  }
  return { lines: Decoration.set(lines, true), gutter: RangeSet.of(signs, true) };
}

const DIAGNOSTIC_SEVERITY = /** @type {const} */ ({ violation: "error", unjudged: "error", notice: "info" });

/**
 * @param {import("@codemirror/state").Text} doc
 * @param {Mark} mark
 * @returns {import("@codemirror/lint").Diagnostic}
 */
function diagnostic(doc, { line: number, kind, source, message, action }) {
  const line = doc.line(Math.min(number, doc.lines));
  return {
    from: line.from + (line.text.length - line.text.trimStart().length),
    to: line.to,
    severity: DIAGNOSTIC_SEVERITY[kind],
    source,
    message: printable(message),
    actions: action ? [{ name: action.name, apply: action.run }] : [],
  };
}

const highlighting = HighlightStyle.define([
  // This YAML mode marks keys as atoms, and document separators as definitions.
  { tag: tags.atom, color: "var(--yaml-key)" },
  { tag: tags.string, color: "var(--text)" },
  { tag: [tags.comment, tags.meta, tags.definition(tags.variableName)], color: "var(--muted)" },
  { tag: tags.keyword, color: "var(--yaml-other)" },
]);

const theme = EditorView.theme({
  "&": { height: "100%", color: "var(--text)", backgroundColor: "var(--paper)", fontSize: "0.8125rem" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--text)", padding: "0.5rem 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-placeholder": { color: "var(--muted)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "var(--selection)",
  },
  ".cm-selectionMatch": { backgroundColor: "var(--selection)" },
  ".cm-gutters": {
    color: "var(--muted)", backgroundColor: "var(--surface)", border: "none", borderRight: "1px solid var(--line)",
  },
  ".signs": { width: "1.25rem" },
  ".sign": { display: "block", textAlign: "center", fontWeight: "700", color: "var(--kind)" },
  ".violation": { "--kind": "var(--violation)" },
  ".notice": { "--kind": "var(--notice)" },
  ".unjudged": { "--kind": "var(--unjudged)" },
  // Translucent, since the selection is drawn behind it.
  ".marked": { backgroundColor: "color-mix(in srgb, var(--kind) 10%, transparent)" },
  ".changed": { boxShadow: "inset 3px 0 var(--good)", backgroundColor: "color-mix(in srgb, var(--good) 18%, transparent)" },
  ".message": { marginLeft: "1.5rem", color: "var(--kind)", fontFamily: "var(--sans)", fontSize: "0.75rem" },
  // The package's own underlines are images, which the page's policy blocks. The line is marked anyway.
  ".cm-lintRange": { backgroundImage: "none", paddingBottom: "0" },
  ".cm-lintRange-active": { backgroundColor: "transparent", outline: "1px solid var(--muted)" },
  ".cm-diagnostic": { borderLeftColor: "var(--line)", padding: "0.375rem 0.75rem", maxWidth: "40rem" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--violation)" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--notice)" },
  ".cm-diagnosticSource": { marginTop: "0.25rem", fontSize: "0.75rem", color: "var(--muted)", opacity: "1" },
  ".cm-diagnosticAction": {
    display: "block", margin: "0.375rem 0 0", padding: "0.125rem 0.5rem", color: "var(--paper)",
    backgroundColor: "var(--accent)", borderRadius: "4px",
  },
  ".cm-tooltip, .cm-panels": {
    color: "var(--text)", backgroundColor: "var(--surface)", borderColor: "var(--line)", fontFamily: "var(--sans)",
  },
  ".cm-panel.cm-panel-lint ul [aria-selected]": { backgroundColor: "var(--selection)" },
  ".cm-panel.cm-panel-lint ul:focus [aria-selected]": {
    color: "var(--text)", backgroundColor: "var(--selection)", backgroundImage: "none",
  },
  ".cm-panel.cm-search": { padding: "0.375rem 2rem 0.375rem 0.5rem", fontSize: "0.875rem" },
  ".cm-panel.cm-search label": { fontSize: "inherit" },
  ".cm-panel button, .cm-textfield, .cm-button": {
    color: "var(--text)", backgroundColor: "var(--paper)", backgroundImage: "none", borderColor: "var(--edge)",
    borderRadius: "4px", fontSize: "inherit",
  },
  ".cm-textfield::placeholder": { color: "var(--muted)", opacity: "1" },
  ".cm-panel [name=close]": { fontSize: "1.125rem" },
  ".cm-searchMatch": { backgroundColor: "var(--notice-back)", outline: "1px solid var(--notice)" },
  ".cm-searchMatch-selected": { backgroundColor: "var(--selection)" },
});

/**
 * A file as it is opened.
 *
 * @typedef {object} Manifest
 * @property {string} name
 * @property {string} text
 * @property {boolean} [isFound] whether it was found in a folder, where files of other kinds are too
 *
 * A file that is open.
 * @typedef {{ name: string, isFound: boolean, state: EditorState }} Open
 *
 * The files before an action that changed several, and the texts that it left: undo goes back to them only from these.
 * @typedef {{ files: Open[], current: number, left: import("@codemirror/state").Text[] }} Step
 */

/** How many actions on several files can be undone. */
const MOST_STEPS = 20;

/** The name of a text that is not a file. */
export const UNNAMED = "manifests.yaml";

/** The editor: the manifests, one file at a time, and the remarks on their lines. */
export class Editor {
  /** @type {Open[]} the state of the file that is shown is the view's */
  #files;
  #current = 0;
  /** @type {Map<string, Mark[]>} */
  #marks = new Map();
  /** @type {Step[]} */
  #past = [];
  /** @type {Step[]} */
  #future = [];
  #handlers;

  /**
   * @param {HTMLElement} host
   * @param {object} handlers
   * @param {() => void} handlers.changed a text has changed
   * @param {() => void} handlers.shown another file is shown
   */
  constructor(host, handlers) {
    this.#handlers = handlers;
    // In a shadow root the editor's styles are constructed sheets. In the page they would be style elements, which the page's
    // Content-Security-Policy blocks.
    const root = host.attachShadow({ mode: "open" });
    this.view = new EditorView({ root, parent: root, state: this.#state("") });
    this.#files = [{ name: UNNAMED, isFound: false, state: this.view.state }];
  }

  /** @param {string} text */
  #state(text) {
    return EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        shown,
        changedLines,
        history(),
        drawSelection({ cursorBlinkRate: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 1200 }),
        bracketMatching(),
        highlightSelectionMatches({ minSelectionLength: 3 }),
        search({ top: true }),
        // It builds no tree: a tree of endless brackets would exhaust the stack.
        StreamLanguage.define(yaml),
        syntaxHighlighting(highlighting),
        theme,
        placeholder("Paste the output of `helm template` here, or drop files"),
        EditorView.contentAttributes.of({ "aria-label": "Manifests, as YAML", tabindex: "0" }),
        keymap.of([
          { key: "Mod-z", run: () => this.undo() },
          { key: "Mod-y", mac: "Mod-Shift-z", run: () => this.redo() },
          ...defaultKeymap, ...historyKeymap, ...searchKeymap, ...lintKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) this.#handlers.changed();
        }),
      ],
    });
  }

  /** The files with their current texts. A text stays the same value until it is changed. */
  get files() {
    return this.#kept().map(({ name, isFound, state }) => ({ name, isFound, doc: state.doc }));
  }

  /** The file that is shown. */
  get file() {
    const { name } = /** @type {Open} */ (this.#files[this.#current]);
    return { name, doc: this.view.state.doc };
  }

  /** The files with their current states. */
  #kept() {
    return this.#files.map((file, index) => (index === this.#current ? { ...file, state: this.view.state } : file));
  }

  /**
   * Shows a file.
   *
   * @param {string} name
   */
  show(name) {
    const index = this.#files.findIndex((file) => file.name === name);
    if (index < 0 || index === this.#current) return;
    this.#set(this.#kept(), index);
    this.#draw();
  }

  /**
   * Opens files in place of those that are open, as one step for undo.
   *
   * @param {Manifest[]} files
   */
  open(files) {
    const opened = files.length > 0 ? files : [{ name: UNNAMED, text: "" }];
    this.#step(opened.map(({ name, text, isFound = false }) => ({ name, isFound, state: this.#state(text) })), 0);
  }

  /**
   * Gives all files new texts, as one step for undo.
   *
   * @param {string[]} texts
   */
  replaceAll(texts) {
    const before = this.#kept();
    const changed = before.map((file, index) => {
      const change = smallestChange(file.state.doc.toString(), texts[index] ?? "");
      if (change.from === change.to && change.insert === "") return file;
      return { ...file, state: file.state.update({ changes: change, effects: showChange.of(change) }).state };
    });
    const first = changed.findIndex((file, index) => file !== before[index]);
    this.#step(changed, first < 0 ? this.#current : first);
  }

  /**
   * @param {Open[]} files
   * @param {number} current
   */
  #step(files, current) {
    const left = files.map(({ state }) => state.doc);
    this.#past = [...this.#past, { files: this.#kept(), current: this.#current, left }].slice(-MOST_STEPS);
    this.#future = [];
    this.#set(files, current);
    this.#handlers.changed();
  }

  /**
   * @param {Open[]} files
   * @param {number} current
   */
  #set(files, current) {
    this.#files = files;
    this.#current = current;
    this.view.setState(/** @type {Open} */ (files[current]).state);
    this.#handlers.shown();
  }

  /**
   * Makes one change of a file as a separate undo step, and shows it.
   *
   * @param {string} name
   * @param {import("./change.js").Change} change
   */
  change(name, change) {
    this.show(name);
    this.view.dispatch({
      changes: change,
      annotations: [isolateHistory.of("full"), Transaction.userEvent.of("input.apply")],
      effects: [showChange.of(change), EditorView.scrollIntoView(change.from, { y: "center" })],
    });
  }

  /** @param {Map<string, Mark[]>} marks by file */
  mark(marks) {
    this.#marks = marks;
    this.#draw();
  }

  #draw() {
    const { name, doc } = this.file;
    const marks = this.#marks.get(name) ?? [];
    const diagnostics = marks.map((mark) => diagnostic(doc, mark));
    const transaction = setDiagnostics(this.view.state, diagnostics);
    this.view.dispatch(transaction, { effects: showMarks.of(marks) });
  }

  /**
   * Goes to the remark on a line, even if that line has moved since.
   *
   * @param {string} name
   * @param {number} line
   */
  jump(name, line) {
    this.show(name);
    const { doc } = this.view.state;
    let position = doc.line(Math.min(line, doc.lines)).from;
    const { lines } = this.view.state.field(shown);
    for (const cursor = lines.iter(); cursor.value; cursor.next()) {
      if (cursor.value.spec.line === line) position = doc.lineAt(cursor.from).from;
    }
    this.view.dispatch({
      selection: { anchor: position },
      effects: EditorView.scrollIntoView(position, { y: "center" }),
    });
    this.view.focus();
  }

  undo() {
    return this.#goBack(this.#past, this.#future) || undo(this.view);
  }

  redo() {
    return this.#goBack(this.#future, this.#past) || redo(this.view);
  }

  /**
   * Takes back the last step, if nothing has changed since.
   *
   * @param {Step[]} steps
   * @param {Step[]} others
   */
  #goBack(steps, others) {
    const step = steps.at(-1);
    const files = this.#kept();
    const isLast = step?.left.length === files.length && step.left.every((doc, index) => files[index]?.state.doc.eq(doc));
    if (!step || !isLast) return false;
    steps.pop();
    others.push({ files, current: this.#current, left: step.files.map(({ state }) => state.doc) });
    this.#set(step.files, step.current);
    this.#draw();
    this.#handlers.changed();
    return true;
  }
}
