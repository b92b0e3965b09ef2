/**
 * @typedef {import("./worker.js").Calls} Calls
 * @typedef {import("./worker.js").Reply} Reply
 * @typedef {import("./worker.js").News} News
 */

/** The policies crashed before they answered; the next question goes to fresh ones. */
export class Crash extends Error {}

/** The policies in their worker. */
export class Policies {
  /** @type {Worker | undefined} */
  #worker;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;
  #told;
  #loading;

  /**
   * @param {object} handlers
   * @param {(missing: string | undefined) => void} handlers.told gets the reason why something is missing, `undefined` once it is there
   * @param {(loaded: number) => void} handlers.loading gets how much of the policies is there, from 0 to 1
   */
  constructor({ told, loading }) {
    this.#told = told;
    this.#loading = loading;
  }

  /**
   * @template {keyof Calls} Call
   * @param {Call} call
   * @param {Parameters<Calls[Call]>} parameters
   * @returns {Promise<ReturnType<Calls[Call]>>}
   */
  ask(call, ...parameters) {
    this.#worker ??= this.#start();
    const id = (this.#lastId += 1);
    this.#worker.postMessage({ id, call, parameters });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /**
   * Ends the worker, and rejects everything that waits for it.
   *
   * @param {string} reason
   */
  stop(reason) {
    this.#worker?.terminate();
    this.#worker = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Crash(reason));
  }

  #start() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", (/** @type {MessageEvent<Reply | News>} */ { data }) => {
      if ("missing" in data) return this.#told(data.missing);
      if ("loaded" in data) return this.#loading(data.loaded);
      if (data.crashed !== undefined) return this.stop(data.crashed);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.refused !== undefined) waiting?.reject(new Error(data.refused));
      else waiting?.resolve(data.value);
    });
    // An ended worker may still report an error, which does not concern the current worker.
    worker.addEventListener("error", (event) => {
      if (worker === this.#worker) this.stop(event.message || "the policies could not be loaded");
    });
    return worker;
  }
}
