import init from "./pki/web.js";

export * from "./policies/web.js";
export { default } from "./policies/web.js";

/**
 * Loads the module that checks certificates: signature algorithms, and Mozilla's roots. Until it is loaded, an object with a
 * certificate is in a report's `unjudged`. Call it after `init`. `source` is as for `init`, but for `pki/pki_bg.wasm`.
 */
export function loadPki(source?: Parameters<typeof init>[0]): Promise<void>;
