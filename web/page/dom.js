/** @typedef {Node | string | false | undefined} Child */

// Controls but line breaks, and what reorders a line, cannot be seen or looks like an ordinary space, as src/shown.rs has it.
const HIDDEN =
  /[\u0000-\u0009\u000b-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/**
 * A text as it can be shown: with escapes for what reorders a line or cannot be seen, as the command prints it.
 *
 * @param {string} text
 */
export function printable(text) {
  return text.replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/**
 * An element with attributes and children. Attributes that are `false` or `undefined` are left out; those that are
 * functions are event listeners.
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
 * What the policies write, with what stands in backticks as code.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function prose(text) {
  // A backtick without a partner is a character like any other.
  return text
    .split(/(`[^`]+`)/)
    .map((part, index) => (index % 2 ? h("code", {}, part.slice(1, -1)) : document.createTextNode(printable(part))));
}

/**
 * The element that index.html has under an id.
 *
 * @param {string} id
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
