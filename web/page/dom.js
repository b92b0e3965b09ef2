/** @typedef {Node | string | false | undefined} Child */

/**
 * A text as it can be shown: without what reorders a line or cannot be seen, as the command prints it.
 *
 * @param {string} text
 */
export function printable(text) {
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
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
