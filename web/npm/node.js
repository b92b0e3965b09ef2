// For Node, where nothing needs to be fetched.

import * as formats from "./formats/node.js";
import * as pki from "./pki/node.js";
import { usePki } from "./policies/node.js";

export { check, mend, policies, validateSettings } from "./policies/node.js";

usePki(pki);

export async function loadPki() {}

export async function loadFormats() {
  return formats;
}
