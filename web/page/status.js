import { byId, h, prose } from "./dom.js";
import { SIGNS } from "./editor.js";

const SIGN_OF = { ...SIGNS, good: "✓", neutral: "" };

let said = "";

/**
 * Shows the status. Does not repeat the same status, because screen readers read it out.
 *
 * @param {keyof typeof SIGN_OF} look
 * @param {string} headline
 * @param {string[]} rest
 */
export function showStatus(look, headline, rest) {
  const status = byId("status");
  const saying = JSON.stringify([look, headline, rest]);
  delete status.dataset.stale;
  byId("busy").textContent = "";
  if (saying === said) return;
  said = saying;
  status.dataset.look = look;
  status.replaceChildren(
    h("p", { class: "headline" },
      h("span", { class: "sign", "aria-hidden": "true" }, SIGN_OF[look] && `${SIGN_OF[look]} `), ...prose(headline)),
    ...(rest.length > 0 ? [" ", h("p", { class: "rest" }, ...prose(rest.join(" ")))] : []),
  );
}

/** Marks the status as outdated until the next one, without announcing anything. */
export function outdateStatus() {
  byId("status").dataset.stale = "";
  byId("busy").textContent = "Checking…";
}

/**
 * Shows the result of an action.
 *
 * @param {string} text
 * @param {boolean} [problem]
 */
export function say(text, problem = false) {
  const message = byId("message");
  message.className = problem ? "problem" : "";
  message.textContent = text;
}
