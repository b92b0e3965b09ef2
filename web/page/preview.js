import { createTwoFilesPatch } from "diff";

import { byId } from "./dom.js";
import { count } from "./words.js";

/** @typedef {import("./worker.js").Fixes} Fixes */

/**
 * Shows the changes that fixing everything would make, and asks the user.
 *
 * @param {import("./editor.js").Manifest[]} before
 * @param {number} violations how many there are now
 * @param {boolean} isFilled whether missing users are set too, at first
 * @param {(fill: boolean) => Promise<Fixes>} fix
 * @returns {Promise<Fixes | undefined>} the fixes to apply
 */
export async function preview(before, violations, isFilled, fix) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("preview"));
  const apply = /** @type {HTMLButtonElement} */ (byId("preview-apply"));
  const fill = /** @type {HTMLInputElement} */ (byId("preview-fill"));
  fill.checked = isFilled;
  let fixes = await fix(isFilled);
  const draw = () => {
    const reasons = fixes.left.length > 0 ? ` Not fixed: ${fixes.left.join("; ")}.` : "";
    byId("preview-about").textContent = `${count(violations - fixes.violations, "finding")} would be fixed.${reasons}`;
    const patches = before.flatMap(({ name, text }, index) => {
      const after = fixes.texts[index] ?? text;
      return after === text ? [] : [createTwoFilesPatch(name, name, text, after).split("\n").slice(1).join("\n")];
    });
    byId("preview-diff").textContent = patches.join("");
    apply.disabled = patches.length === 0;
  };
  draw();
  dialog.showModal();
  return new Promise((resolve, reject) => {
    const done = (/** @type {Fixes | undefined} */ answer) => {
      fill.onchange = null;
      apply.onclick = null;
      byId("preview-cancel").onclick = null;
      dialog.onclose = null;
      dialog.close();
      resolve(answer);
    };
    fill.onchange = async () => {
      apply.disabled = true;
      try {
        fixes = await fix(fill.checked);
        draw();
      } catch (error) {
        reject(error);
        done(undefined);
      }
    };
    apply.onclick = () => done(fixes);
    byId("preview-cancel").onclick = () => done(undefined);
    dialog.onclose = () => done(undefined);
  });
}
