// For Node, where nothing needs to be fetched.

import * as pki from "./pki/node.js";
import { usePki } from "./policies/node.js";

export { check, mend, policies, validateSettings } from "./policies/node.js";

usePki(pki);

export async function loadPki() {}
