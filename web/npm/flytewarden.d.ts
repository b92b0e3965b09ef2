export * from "./policies/bundler.js";

/**
 * Loads the module that checks certificates: signature algorithms, and Mozilla's roots. Until it is loaded, an object with a
 * certificate is in a report's `unjudged`.
 */
export function loadPki(): Promise<void>;
