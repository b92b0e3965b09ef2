// For bundlers.

import { throwing } from "./errors.js";
import * as wasm from "./policies/bundler.js";

export { FlytewardenError } from "./errors.js";
export { policies } from "./policies/bundler.js";
export const check = throwing(wasm.check);
export const fix = throwing(wasm.fix);
export const mend = throwing(wasm.mend);
export const validateSettings = throwing(wasm.validateSettings);

export async function loadPki() {
  wasm.usePki(await import("./pki/bundler.js"));
}

export async function loadFormats() {
  return await import("./formats/bundler.js");
}
