export * from "./policies/bundler.js";

/**
 * Loads what certificates are checked with: the signatures that can be verified, and Mozilla's roots. Until then, an object that
 * holds a certificate is in a report's `unjudged`.
 */
export function loadPki(): Promise<void>;
