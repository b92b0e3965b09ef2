export * from "./policies/node.js";

/** Does nothing: what certificates are checked with is loaded with the package. It is there for code that runs elsewhere too. */
export function loadPki(): Promise<void>;
