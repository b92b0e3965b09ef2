// For pages without a bundler, and for bundlers that do not import WebAssembly as a module.

import initFormats, * as formats from "./formats/web.js";
import initPki, * as pki from "./pki/web.js";
import { throwing } from "./errors.js";
import * as wasm from "./policies/web.js";

export { FlytewardenError } from "./errors.js";
export { policies } from "./policies/web.js";
export const check = throwing(wasm.check);
export const fix = throwing(wasm.fix);
export const mend = throwing(wasm.mend);
export const validateSettings = throwing(wasm.validateSettings);

export { default, initSync } from "./policies/web.js";

export async function loadPki(source) {
  await initPki(source);
  wasm.usePki(pki);
}

export async function loadFormats(source) {
  await initFormats(source);
  return formats;
}
