/**
 * Files as the user gave them, and the message about those that were left out.
 *
 * @typedef {{ path: string, file: File }} Given
 * @typedef {{ manifests: import("./editor.js").Manifest[], message: string, problem: boolean }} Read
 */

const MANIFEST = /\.(ya?ml|json)$/i;

/**
 * The files of a chosen folder, of which only the manifests are read.
 *
 * @param {FileList} list
 * @returns {Given[]}
 */
export function fromFolder(list) {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * The dropped files, with any name, and the files in dropped folders.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<{ files: Given[], inFolders: Given[] }>}
 */
export async function fromDrop(transfer) {
  // The list of items is empty as soon as the event is over, so read them before the first await.
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const folders = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry?.isDirectory);
  const files = items.filter((item) => !item.webkitGetAsEntry()?.isDirectory).flatMap((item) => item.getAsFile() ?? []);
  const inFolders = await Promise.all(folders.flatMap((folder) => (folder ? [walk(folder)] : [])));
  return { files: files.map((file) => ({ path: file.name, file })), inFolders: inFolders.flat() };
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<Given[]>}
 */
async function walk(entry) {
  if (entry.isFile) {
    const given = /** @type {FileSystemFileEntry} */ (entry);
    const file = await new Promise((resolve, reject) => given.file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const inside = [];
  // A reader returns a folder's entries in portions, and an empty portion at the end.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const portion = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (portion.length === 0) break;
    inside.push(...portion);
  }
  return (await Promise.all(inside.map(walk))).flat();
}

/**
 * Reads files.
 *
 * @param {Given[]} files read with any name
 * @param {Given[]} inFolders read only if their names end as YAML or JSON
 * @returns {Promise<Read>}
 */
export async function read(files, inFolders) {
  const manifests = inFolders.filter(({ path }) => MANIFEST.test(path));
  const named = files.map((given) => ({ ...given, isFound: false }));
  const wanted = [...named, ...manifests.map((given) => ({ ...given, isFound: true }))];
  wanted.sort((one, other) => (one.path < other.path ? -1 : 1));
  const parts = await Promise.all(wanted.map(decode));
  const texts = parts.flatMap(({ path, text, isFound }) => (text === undefined ? [] : [{ name: path, text, isFound }]));
  const left = parts.filter(({ text }) => text === undefined);
  const said = [];
  if (texts.length === 1) said.push(`Opened ${texts[0]?.name}.`);
  if (texts.length > 1) said.push(`Opened ${texts.length} files.`);
  if (left.length > 0) {
    const reasons = left.map(({ path, reason }) => `${path} (${reason})`).join(", ");
    said.push(`Left out ${left.length === 1 ? "a file" : `${left.length} files`}: ${reasons}.`);
  }
  const others = inFolders.length - manifests.length;
  if (others > 0) said.push(`${others} other ${others === 1 ? "file is" : "files are"} not .yaml, .yml or .json.`);
  if (parts.length === 0) said.unshift("There is no manifest to open.");
  return { manifests: withNames(texts), message: said.join(" "), problem: texts.length === 0 || left.length > 0 };
}

/**
 * Makes the names of files unique: files of two dropped folders can have the same name.
 *
 * @param {import("./editor.js").Manifest[]} manifests
 */
function withNames(manifests) {
  const seen = new Map();
  return manifests.map((manifest) => {
    const number = (seen.get(manifest.name) ?? 0) + 1;
    seen.set(manifest.name, number);
    return number === 1 ? manifest : { ...manifest, name: `${manifest.name} (${number})` };
  });
}

/**
 * @param {Given & { isFound: boolean }} given
 * @returns {Promise<{ path: string, isFound: boolean, text?: string, reason?: string }>}
 */
async function decode({ path, file, isFound }) {
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    return { path, isFound, reason: "cannot be read" };
  }
  try {
    return { path, isFound, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { path, isFound, reason: "not UTF-8" };
  }
}
