/**
 * The content of a link: the settings, and never the manifests.
 *
 * @typedef {{ settings: Record<string, Record<string, unknown>>, namespace: string, imageUsers: string }} Shared
 */

const PREFIX = "#settings=";

/**
 * @param {Shared} shared
 * @param {string} page the page's address
 */
export function linkTo(shared, page) {
  const link = new URL(page);
  link.hash = PREFIX + encodeURIComponent(JSON.stringify(shared));
  return link.href;
}

/**
 * The content of a link's fragment; `undefined` if it contains no settings.
 *
 * @param {string} fragment
 * @returns {Shared | undefined}
 */
export function readLink(fragment) {
  if (!fragment.startsWith(PREFIX)) return undefined;
  let shared;
  try {
    shared = JSON.parse(decodeURIComponent(fragment.slice(PREFIX.length)));
  } catch {
    throw new Error("it is cut off or mistyped");
  }
  const { settings = {}, namespace = "", imageUsers = "" } = isMap(shared) ? shared : { settings: null };
  if (!isMap(settings) || !Object.values(settings).every(isMap)) throw new Error("its settings are not by policy");
  if (typeof namespace !== "string") throw new Error("its namespace is not a string");
  if (typeof imageUsers !== "string") throw new Error("its image users are not a string");
  return { settings: /** @type {Shared["settings"]} */ (settings), namespace, imageUsers };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isMap(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
