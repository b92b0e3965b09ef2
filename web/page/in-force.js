import { byId, h } from "./dom.js";

/**
 * Shows which settings are not the defaults, as long as they are in force: a verdict depends on them, and a link can set them.
 *
 * @param {import("./link.js").Shared} shared
 * @param {{ show: () => void, reset: () => void }} handlers
 */
export function showInForce({ settings, namespace, imageUsers }, { show, reset }) {
  const names = Object.entries(settings).flatMap(([policy, own]) => Object.keys(own).map((name) => `${policy}.${name}`));
  if (namespace) names.push(`namespace ${namespace}`);
  if (imageUsers) names.push("image users");
  const element = byId("in-force");
  element.hidden = names.length === 0;
  element.replaceChildren(
    h("p", {}, h("strong", {}, "Not the default settings: "), names.join(", ")),
    h("div", { class: "buttons" },
      h("button", { type: "button", click: show }, "Show settings"),
      h("button", { type: "button", click: reset }, "Reset settings")),
  );
}
