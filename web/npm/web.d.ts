/// <reference lib="dom" />
import init from "./pki/web.js";

export * from "./policies/web.js";
export { default } from "./policies/web.js";

/**
 * Loads the module that checks certificates: signature algorithms, and Mozilla's roots. Until it is loaded, an object with a
 * certificate is in a report's `unjudged`. Call it after `init`. `source` is as for `init`, but for `pki/pki_bg.wasm`.
 */
export function loadPki(source?: Parameters<typeof init>[0]): Promise<void>;

/** The report in the command's other formats. */
export type Formats = Pick<typeof import("./formats/web.js"), "toJunit" | "toMarkdown" | "toSarif" | "toText">;

/** Loads the module that writes reports in other formats. `source` is as for `init`, but for `formats/formats_bg.wasm`. */
export function loadFormats(source?: Parameters<typeof init>[0]): Promise<Formats>;

export { FlytewardenError } from "./errors.js";
