import { byId } from "./dom.js";

const KEY = "flytewarden-manifests";

/**
 * What the tab's storage answers; null where the browser keeps nothing, or not so much.
 *
 * @param {(storage: Storage) => string | null} use
 */
function stored(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}

/**
 * Keeps the manifests in this tab if the person wants that, and otherwise asks before they are lost. They never leave the browser.
 *
 * @param {() => string} text the current text
 * @param {() => boolean} isOwn whether the person has put in something
 * @returns {{ kept: string | null, changed: () => void }} the text of before, and what to call after a change
 */
export function keeping(text, isOwn) {
  const box = /** @type {HTMLInputElement} */ (byId("keep"));
  const kept = stored((storage) => storage.getItem(KEY));
  box.checked = kept !== null;
  const changed = () => {
    if (box.checked) {
      box.checked = stored((storage) => (storage.setItem(KEY, text()), "kept")) !== null;
    }
    if (!box.checked) stored((storage) => (storage.removeItem(KEY), null));
  };
  box.addEventListener("change", changed);
  addEventListener("beforeunload", (event) => {
    if (!box.checked && isOwn() && text().trim() !== "") event.preventDefault();
  });
  return { kept, changed };
}
