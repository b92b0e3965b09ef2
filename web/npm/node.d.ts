export * from "./policies/node.js";

/** Does nothing: in Node, the package already contains the module that checks certificates. For code that also runs elsewhere. */
export function loadPki(): Promise<void>;
