// For bundlers.

import { usePki } from "./policies/bundler.js";

export { check, mend, policies, validateSettings } from "./policies/bundler.js";

export async function loadPki() {
  usePki(await import("./pki/bundler.js"));
}

export async function loadFormats() {
  return await import("./formats/bundler.js");
}
