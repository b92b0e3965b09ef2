/** @typedef {import("./policies.js").Policies} Policies */

/** How long an outdated check may still run, in ms: a fresh worker starts faster than a long check ends. */
const PATIENCE = 2000;

/**
 * Checks one state after another. Of the states that arrive during a check, checks only the last.
 *
 * @template Subject
 */
export class Checks {
  #policies;
  #run;
  #done;
  /** @type {{ subject: Subject } | undefined} */
  #next;
  /** @type {{ since: number, superseded?: ReturnType<typeof setTimeout> } | undefined} */
  #running;

  /**
   * @param {Policies} policies
   * @param {(subject: Subject) => Promise<import("./worker.js").Verdict>} run
   * @param {(subject: Subject, outcome: { verdict?: import("./worker.js").Verdict, error?: Error }) => void} done
   */
  constructor(policies, run, done) {
    this.#policies = policies;
    this.#run = run;
    this.#done = done;
  }

  /** @param {Subject} subject */
  submit(subject) {
    this.#next = { subject };
    if (!this.#running) {
      this.#work();
    } else {
      const left = Math.max(PATIENCE - (performance.now() - this.#running.since), 0);
      this.#running.superseded ??= setTimeout(() => this.#policies.stop("the text has changed since"), left);
    }
  }

  async #work() {
    while (this.#next) {
      const { subject } = this.#next;
      this.#next = undefined;
      const running = (this.#running = { since: performance.now(), superseded: undefined });
      const outcome = await this.#run(subject).then(
        (verdict) => ({ verdict }),
        (error) => ({ error }),
      );
      clearTimeout(running.superseded);
      this.#running = undefined;
      if (!this.#next) this.#done(subject, outcome);
    }
  }
}
