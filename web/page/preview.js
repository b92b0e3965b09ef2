import { createTwoFilesPatch } from "diff";

import { byId } from "./dom.js";
import { count } from "./words.js";

/**
 * Shows what a fix of everything would change, and asks.
 *
 * @param {string} before
 * @param {{ text: string, fixed: number, left: string[] }} fixes
 * @returns {Promise<boolean>} whether to apply it
 */
export function preview(before, { text, fixed, left }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("preview"));
  const reasons = left.length > 0 ? ` Cannot be applied: ${left.join("; ")}.` : "";
  byId("preview-about").textContent = `${count(fixed, "finding")} would be fixed.${reasons}`;
  byId("preview-diff").textContent = createTwoFilesPatch("before", "after", before, text).split("\n").slice(1).join("\n");
  const apply = /** @type {HTMLButtonElement} */ (byId("preview-apply"));
  apply.disabled = text === before;
  dialog.showModal();
  return new Promise((resolve) => {
    const done = (/** @type {boolean} */ answer) => {
      apply.onclick = null;
      byId("preview-cancel").onclick = null;
      dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    apply.onclick = () => done(true);
    byId("preview-cancel").onclick = () => done(false);
    dialog.onclose = () => done(false);
  });
}
