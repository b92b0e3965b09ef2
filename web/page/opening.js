import { byId } from "./dom.js";
import { fromDrop, fromFolder, read } from "./files.js";
import { say } from "./status.js";

/**
 * @typedef {import("./files.js").Given} Given
 * @typedef {import("./editor.js").Manifest} Manifest
 */

/**
 * Lets the page open chosen or dropped files, folders, and the examples.
 *
 * @param {(manifests: Manifest[]) => void} replace puts them in place of the current files
 */
export function opening(replace) {
  /**
   * @param {Given[]} files
   * @param {Given[]} inFolders
   */
  const open = async (files, inFolders) => {
    const result = await read(files, inFolders);
    if (result.manifests.length > 0) replace(result.manifests);
    say(result.message, result.problem);
  };

  chooser("open-files", "files", (list) => open([...list].map((file) => ({ path: file.name, file })), []));
  chooser("open-folder", "folder", (list) => open([], fromFolder(list)));

  for (const button of document.querySelectorAll("[data-example]")) {
    const name = button.getAttribute("data-example") ?? "";
    button.addEventListener("click", async () => {
      try {
        const response = await fetch(`examples/${name}`);
        if (!response.ok) throw new Error(response.statusText);
        replace([{ name, text: await response.text() }]);
        say(`Opened ${name}.`);
      } catch (error) {
        say(`The example ${name} could not be loaded: ${/** @type {Error} */ (error).message}.`, true);
      }
    });
  }

  // Runs before the editor, which would insert a file's text where it is dropped.
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault(), true);
  addEventListener("drop", async (event) => {
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    try {
      const { files, inFolders } = await fromDrop(event.dataTransfer);
      await open(files, inFolders);
    } catch (error) {
      say(`The dropped files could not be read: ${/** @type {Error} */ (error).message}.`, true);
    }
  }, true);
}

/** @param {DragEvent} event */
function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

/**
 * Makes a button open a hidden file input, and passes on the chosen files.
 *
 * @param {string} button
 * @param {string} input
 * @param {(files: FileList) => Promise<void>} take
 */
function chooser(button, input, take) {
  const files = /** @type {HTMLInputElement} */ (byId(input));
  byId(button).addEventListener("click", () => files.click());
  files.addEventListener("change", async () => {
    if (files.files) await take(files.files);
    // Choosing the same file again is a change too.
    files.value = "";
  });
}
