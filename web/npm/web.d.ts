import init from "./pki/web.js";

export * from "./policies/web.js";
export { default } from "./policies/web.js";

/**
 * Loads what certificates are checked with: the signatures that can be verified, and Mozilla's roots. Until then, an object that
 * holds a certificate is in a report's `unjudged`. To be called after `init`; `source` is as there, of `pki/pki_bg.wasm`.
 */
export function loadPki(source?: Parameters<typeof init>[0]): Promise<void>;
