/** The bytes of the policies' module, which the build knows. */
declare const POLICIES_BYTES: number;

/** A name for the content of the page's files, and the files, which the build knows. */
declare const BUILD: string;
declare const FILES: string[];
