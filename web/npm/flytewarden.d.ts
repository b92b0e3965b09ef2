export * from "./policies/bundler.js";

/**
 * Loads the module that checks certificates: signature algorithms, and Mozilla's roots. Until it is loaded, an object with a
 * certificate is in a report's `unjudged`.
 */
export function loadPki(): Promise<void>;

/** The report in the command's other formats. */
export type Formats = Pick<typeof import("./formats/bundler.js"), "toJunit" | "toMarkdown" | "toSarif" | "toText">;

/** Loads the module that writes reports in other formats. */
export function loadFormats(): Promise<Formats>;

export { FlytewardenError } from "./errors.js";
