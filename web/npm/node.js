// For Node, where nothing needs to be fetched.

import * as formats from "./formats/node.js";
import * as pki from "./pki/node.js";
import { throwing } from "./errors.js";
import * as wasm from "./policies/node.js";

export { FlytewardenError } from "./errors.js";
export { policies } from "./policies/node.js";
export const check = throwing(wasm.check);
export const fix = throwing(wasm.fix);
export const mend = throwing(wasm.mend);
export const validateSettings = throwing(wasm.validateSettings);

wasm.usePki(pki);

export async function loadPki() {}

export async function loadFormats() {
  return formats;
}
