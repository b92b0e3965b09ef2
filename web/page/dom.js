/** @typedef {Node | string | false | undefined} Child */

// Controls (except line breaks), and characters that are invisible, reorder a line or look like a space. As in src/shown.rs.
const HIDDEN =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/**
 * Makes a text safe to show: characters that are invisible or reorder a line become escapes, as in the command's output.
 *
 * @param {string} text
 */
export function printable(text) {
  return text.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/**
 * Creates an element with attributes and children. Leaves out attributes that are `false` or `undefined`, and adds functions
 * as event listeners.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | undefined | ((event: any) => void)>} attributes
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child) element.append(typeof child === "string" ? printable(child) : child);
  }
  return element;
}

/**
 * Renders a policy's text, with the parts in backticks as code.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function prose(text) {
  // A backtick without a partner is an ordinary character.
  return text
    .split(/(`[^`]+`)/)
    .map((part, index) => (index % 2 ? h("code", {}, part.slice(1, -1)) : document.createTextNode(printable(part))));
}

/**
 * The element of index.html with an id.
 *
 * @param {string} id
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
