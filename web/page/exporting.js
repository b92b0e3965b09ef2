import { byId, h } from "./dom.js";

/** The formats of the command, each with the name and the type of its file. */
const FORMATS = {
  text: { label: "Text", file: "flytewarden.txt", type: "text/plain" },
  markdown: { label: "Markdown", file: "flytewarden.md", type: "text/markdown" },
  json: { label: "JSON", file: "flytewarden.json", type: "application/json" },
  sarif: { label: "SARIF", file: "flytewarden.sarif", type: "application/json" },
};

/** @typedef {keyof typeof FORMATS} Format */

/**
 * The buttons that copy and download the report.
 *
 * @param {(format: Format) => Promise<string>} write writes the report that is shown
 * @param {(text: string, what: string) => void} copy
 * @param {(problem: string) => void} failed
 */
export function exporting(write, copy, failed) {
  const options = Object.entries(FORMATS).map(([value, { label }]) => h("option", { value }, label));
  const select = h("select", { id: "format", "aria-label": "Format of the report" }, ...options);
  const format = () => /** @type {Format} */ (select.value);
  const run = (/** @type {(text: string) => void} */ use) => () =>
    void write(format()).then(use, (error) => failed(`The report could not be written: ${error.message}.`));
  return h("div", { class: "export" },
    select,
    h("button", { type: "button", id: "copy-report", click: run((text) => copy(text, "The report")) }, "Copy report"),
    h("button", {
      type: "button",
      id: "download-report",
      click: run((text) => download(text, FORMATS[format()].file, FORMATS[format()].type)),
    }, "Download report"));
}

/**
 * @param {string} text
 * @param {string} name
 * @param {string} type
 */
export function download(text, name, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}

/** Shows that files can be dropped, while the user drags them over the page. */
export function dropOverlay() {
  const overlay = byId("drop");
  let inside = 0;
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const draw = () => overlay.toggleAttribute("data-over", inside > 0);
  addEventListener("dragenter", (event) => {
    if (hasFiles(event)) inside += 1;
    draw();
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event)) inside = Math.max(0, inside - 1);
    draw();
  });
  addEventListener("drop", () => {
    inside = 0;
    draw();
  }, true);
}
