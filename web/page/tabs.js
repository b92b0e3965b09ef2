import { byId } from "./dom.js";

/**
 * Makes a list of tabs work: shows one panel, and lets arrow keys move between the tabs.
 *
 * @param {string[]} names each with a tab and a panel in the page
 * @returns {(name: string) => void} shows one of them
 */
export function tabs(names) {
  const all = names.map((name) => ({ name, tab: byId(`tab-${name}`), panel: byId(`panel-${name}`) }));
  const select = (/** @type {string} */ selected) => {
    for (const { name, tab, panel } of all) {
      tab.setAttribute("aria-selected", String(name === selected));
      tab.tabIndex = name === selected ? 0 : -1;
      panel.hidden = name !== selected;
    }
  };
  all.forEach(({ name, tab }, index) => {
    tab.addEventListener("click", () => select(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const next = step && all[(index + step + all.length) % all.length];
      if (!next) return;
      event.preventDefault();
      select(next.name);
      next.tab.focus();
    });
  });
  select(names[0] ?? "");
  return select;
}
