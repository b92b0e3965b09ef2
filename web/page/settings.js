import { h, prose } from "./dom.js";
import { controls } from "./form.js";
import { read, readFile, write } from "./settings-yaml.js";
import { count } from "./words.js";

/**
 * @typedef {import("flytewarden").PolicyInfo} PolicyInfo
 * @typedef {import("./worker.js").Wrong} Wrong
 * @typedef {import("./link.js").Shared} Shared
 */

/** One policy's settings: a form, and next to it the same as YAML. */
class PolicySettings {
  /** @type {Record<string, unknown>} */
  values = {};
  /** @type {string | undefined} the error in the YAML, while it cannot be read */
  broken;
  #info;
  #onChange;
  #state = h("span", { class: "state" });
  #form = h("div", { class: "form" });
  #wrong = h("p", { class: "wrong" });
  #yaml;

  /**
   * @param {PolicyInfo} info
   * @param {() => void} onChange
   * @param {(text: string, what: string) => void} copy
   */
  constructor(info, onChange, copy) {
    this.#info = info;
    this.#onChange = onChange;
    const id = `yaml-${info.name}`;
    this.#yaml = h("textarea", {
      id, spellcheck: "false", autocomplete: "off", wrap: "off", rows: 6, input: () => this.#readYaml(),
    });
    const copyYaml = () => copy(this.#yaml.value, `The settings of ${info.name}`);
    const button = { type: "button", "aria-label": `Copy the settings of ${info.name}`, click: copyYaml };
    this.element = h("details", { class: "policy" },
      h("summary", {}, h("span", { class: "name" }, info.name), " ", this.#state),
      h("p", { class: "about" }, ...prose(info.description)),
      this.#wrong,
      h("div", { class: "sides" },
        this.#form,
        h("div", { class: "yaml" },
          h("div", { class: "bar" },
            h("label", { for: id }, "In the policy's ", h("code", {}, "spec")),
            h("button", button, "Copy")),
          this.#yaml)));
    this.set({});
  }

  get name() {
    return this.#info.name;
  }

  /** @param {Record<string, unknown>} values */
  set(values) {
    this.values = values;
    this.#writeYaml();
    this.#drawForm();
  }

  /** @param {string | undefined} message */
  explain(message) {
    const isWrong = message !== undefined;
    this.#wrong.hidden = !isWrong;
    this.#wrong.replaceChildren(...(isWrong ? [h("strong", {}, "Not valid: "), ...prose(message)] : []));
    const set = Object.keys(this.values).length;
    this.#state.textContent = isWrong ? "not valid" : set > 0 ? count(set, "setting") : "defaults";
    this.element.toggleAttribute("data-wrong", isWrong);
  }

  #drawForm() {
    const changed = () => {
      this.#writeYaml();
      this.explain(undefined);
      this.#onChange();
    };
    this.#form.replaceChildren(...controls(this.#info.questions, this.values, changed, this.#info.name));
    this.#form.hidden = false;
    this.explain(undefined);
  }

  #writeYaml() {
    this.#yaml.value = write(this.values);
    this.#yaml.rows = Math.max(6, this.#yaml.value.split("\n").length + 1);
  }

  #readYaml() {
    try {
      this.values = read(this.#yaml.value);
      this.broken = undefined;
      this.#drawForm();
    } catch (error) {
      this.broken = /** @type {Error} */ (error).message;
      // The form would show outdated settings.
      this.#form.hidden = true;
      this.explain(this.broken);
    }
    this.#onChange();
  }
}

/** The settings of all policies. */
export class Settings {
  #policies;
  #namespace;
  #imageUsers;

  /**
   * @param {HTMLElement} root
   * @param {PolicyInfo[]} infos
   * @param {object} handlers
   * @param {() => void} handlers.changed
   * @param {(text: string, what: string) => void} handlers.copy
   * @param {() => void} handlers.copyLink
   * @param {(text: string, problem?: boolean) => void} handlers.say
   */
  constructor(root, infos, { changed, copy, copyLink, say }) {
    this.#policies = infos.map((info) => new PolicySettings(info, changed, copy));
    this.#namespace = h("input", {
      id: "namespace", type: "text", placeholder: "default", spellcheck: "false", autocomplete: "off", input: changed,
      "aria-describedby": "namespace-hint",
    });
    this.#imageUsers = h("textarea", {
      id: "image-users", rows: 2, spellcheck: "false", autocomplete: "off", wrap: "off", input: changed,
      "aria-describedby": "image-users-hint",
    });
    const file = h("input", { type: "file", id: "settings-file", hidden: true });
    file.addEventListener("change", async () => {
      const [chosen] = file.files ?? [];
      file.value = "";
      if (!chosen) return;
      try {
        const settings = readFile(await chosen.text());
        const unknown = this.restore({ ...this.shared, settings });
        changed();
        if (unknown.length > 0) say(`${chosen.name} has settings for unknown policies: ${unknown.join(", ")}.`, true);
        else say(`The settings are those of ${chosen.name}.`);
      } catch (error) {
        say(`${chosen.name} cannot be used as settings: ${/** @type {Error} */ (error).message}.`, true);
      }
    });
    root.replaceChildren(
      h("p", { class: "buttons" },
        h("button", { type: "button", id: "open-settings", click: () => file.click() }, "Open settings file…"), file),
      h("div", { class: "field" },
        h("label", { for: "namespace" }, "Namespace"),
        this.#namespace,
        h("p", { class: "hint", id: "namespace-hint" }, "The namespace of objects that do not set one.")),
      h("div", { class: "field" },
        h("label", { for: "image-users" }, "Image users"),
        this.#imageUsers,
        h("p", { class: "hint", id: "image-users-hint" },
          "The USER of each image, one per line: ", h("code", {}, "cr.flyte.org/flyteorg/flyteadmin:v1.16.8: 1001"), ".")),
      ...this.#policies.map(({ element }) => element),
      h("div", { class: "share" },
        h("button", { type: "button", id: "copy-link", click: copyLink }, "Copy link"),
        h("p", { class: "hint" }, "The link contains these settings, and never the manifests.")),
    );
  }

  /** The settings that are set, without the policies that have none. */
  get shared() {
    const set = this.#policies.filter(({ values }) => Object.keys(values).length > 0);
    return {
      settings: Object.fromEntries(set.map(({ name, values }) => [name, values])),
      namespace: this.#namespace.value.trim(),
      imageUsers: this.#imageUsers.value.trim(),
    };
  }

  /**
   * Applies the settings of a link.
   *
   * @param {Shared} shared
   * @returns {string[]} the policies in the link that do not exist
   */
  restore({ settings, namespace, imageUsers }) {
    for (const policy of this.#policies) {
      policy.broken = undefined;
      policy.set(settings[policy.name] ?? {});
    }
    this.#namespace.value = namespace;
    this.#imageUsers.value = imageUsers;
    return Object.keys(settings).filter((name) => !this.#policies.some((policy) => policy.name === name));
  }

  /** @returns {Wrong[]} the policies whose YAML cannot be read */
  get broken() {
    return this.#policies.flatMap(({ name, broken }) =>
      broken === undefined ? [] : [{ policy: name, message: broken }]);
  }

  /** @param {Wrong[]} wrong */
  explain(wrong) {
    for (const policy of this.#policies) policy.explain(wrong.find((each) => each.policy === policy.name)?.message);
  }
}
