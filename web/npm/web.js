// For pages without a bundler, and for bundlers that do not import WebAssembly as a module.

import initFormats, * as formats from "./formats/web.js";
import initPki, * as pki from "./pki/web.js";
import { usePki } from "./policies/web.js";

export { default, initSync, check, mend, policies, validateSettings } from "./policies/web.js";

export async function loadPki(source) {
  await initPki(source);
  usePki(pki);
}

export async function loadFormats(source) {
  await initFormats(source);
  return formats;
}
