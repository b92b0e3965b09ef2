/** Thrown if something that the package was given is wrong. Anything else that it throws leaves its memory in an unknown state. */
export class FlytewardenError extends Error {
    /** The manifests' name, or `settings`, or `options`. */
    file: string;
    /** The line in it, from 1, if it is known. */
    line?: number;
    /** The path in it, e.g. `flyte-non-root.level`, if it is known. */
    path?: string;
}
