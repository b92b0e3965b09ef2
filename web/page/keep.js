import { byId } from "./dom.js";

/** @typedef {import("./editor.js").Manifest} Manifest */

const KEY = "flytewarden-files";

/**
 * Uses the tab's storage. Returns null if the browser stores nothing, or not this much.
 *
 * @template Answer
 * @param {(storage: Storage) => Answer} use
 */
function stored(use) {
  try {
    return use(sessionStorage);
  } catch {
    return null;
  }
}

/**
 * Keeps the manifests in this tab if the user wants that, and otherwise asks before they are lost. They never leave the browser.
 *
 * @param {() => Manifest[]} manifests the current files
 * @param {() => boolean} isOwn whether the text is the user's own
 * @returns {{ kept: Manifest[] | null, changed: () => void }} the files from before, and a function to call after a change
 */
export function keeping(manifests, isOwn) {
  const box = /** @type {HTMLInputElement} */ (byId("keep"));
  /** @type {Manifest[] | null} */
  const kept = stored((storage) => JSON.parse(storage.getItem(KEY) ?? "null"));
  box.checked = kept !== null;
  const changed = () => {
    if (box.checked) {
      box.checked = stored((storage) => (storage.setItem(KEY, JSON.stringify(manifests())), true)) === true;
    }
    if (!box.checked) stored((storage) => storage.removeItem(KEY));
  };
  box.addEventListener("change", changed);
  addEventListener("beforeunload", (event) => {
    if (!box.checked && isOwn() && manifests().some(({ text }) => text.trim() !== "")) event.preventDefault();
  });
  return { kept, changed };
}
