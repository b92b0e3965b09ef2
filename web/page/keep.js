import { byId } from "./dom.js";

const KEY = "flytewarden-manifests";

/**
 * Keeps the manifests in this tab if the person wants that, and otherwise asks before they are lost. They never leave the browser.
 *
 * @param {() => string} text the current text
 * @param {() => boolean} isOwn whether the person has put in something
 * @returns {{ kept: string | null, changed: () => void }} the text of before, and what to call after a change
 */
export function keeping(text, isOwn) {
  const box = /** @type {HTMLInputElement} */ (byId("keep"));
  const kept = sessionStorage.getItem(KEY);
  box.checked = kept !== null;
  const changed = () => {
    try {
      if (box.checked) sessionStorage.setItem(KEY, text());
      else sessionStorage.removeItem(KEY);
    } catch {
      // There is more text than the browser keeps.
      sessionStorage.removeItem(KEY);
      box.checked = false;
    }
  };
  box.addEventListener("change", changed);
  addEventListener("beforeunload", (event) => {
    if (!box.checked && isOwn() && text().trim() !== "") event.preventDefault();
  });
  return { kept, changed };
}
