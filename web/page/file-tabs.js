import { byId, h } from "./dom.js";
import { count } from "./words.js";

/**
 * Shows a tab for each file, if there are several, with the number of its violations.
 *
 * @param {string[]} names
 * @param {string} current
 * @param {import("flytewarden").Report | undefined} report
 * @param {(name: string) => void} show
 */
export function showFileTabs(names, current, report, show) {
  const list = byId("file-tabs");
  const hadFocus = list.contains(document.activeElement);
  list.hidden = names.length < 2;
  const tabs = names.map((name, index) => {
    const number = violationsIn(name, report);
    const select = () => show(name);
    const move = (/** @type {KeyboardEvent} */ event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = step && names[(index + step + names.length) % names.length];
      if (!next) return;
      event.preventDefault();
      show(next);
    };
    return h("button", {
      type: "button", role: "tab", title: name, "aria-controls": "editor", "aria-selected": String(name === current),
      tabindex: name === current ? 0 : -1, click: select, keydown: move,
    }, name.split("/").at(-1) ?? name,
    number > 0 && h("span", { class: "number", "aria-label": count(number, "violation") }, String(number)));
  });
  list.replaceChildren(...tabs);
  const selected = tabs[names.indexOf(current)];
  if (hadFocus) selected?.focus();
  selected?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/**
 * @param {string} name
 * @param {import("flytewarden").Report | undefined} report
 */
function violationsIn(name, report) {
  const objects = report?.objects.filter(({ file }) => file === name) ?? [];
  return objects.reduce((sum, { violations, moreViolations }) => sum + violations.length + moreViolations, 0);
}
