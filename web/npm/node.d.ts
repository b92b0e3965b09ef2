export * from "./policies/node.js";

/** Does nothing: in Node, the package already contains the module that checks certificates. For code that also runs elsewhere. */
export function loadPki(): Promise<void>;

/** The report in the command's other formats. */
export type Formats = Pick<typeof import("./formats/node.js"), "toJunit" | "toMarkdown" | "toSarif" | "toText">;

/** Loads the module that writes reports in other formats. */
export function loadFormats(): Promise<Formats>;

export { FlytewardenError } from "./errors.js";
