// What the package throws on purpose.

export class FlytewardenError extends Error {
  /** @param {Error & { file: string, line?: number, path?: string }} error as the policies throw it */
  constructor(error) {
    super(error.message);
    this.name = "FlytewardenError";
    this.file = error.file;
    if (error.line !== undefined) this.line = error.line;
    if (error.path !== undefined) this.path = error.path;
  }
}

/** A function of the policies, which throws `FlytewardenError` where something that it was given is wrong. */
export function throwing(call) {
  return (...parameters) => {
    try {
      return call(...parameters);
    } catch (error) {
      throw error instanceof Error && "file" in error ? new FlytewardenError(error) : error;
    }
  };
}
