// Actions of the tests on the page, in a user's words.

import { readFileSync } from "node:fs";

import { expect } from "@playwright/test";

/** @param {string} name */
export function example(name) {
  return readFileSync(new URL(`../../examples/${name}`, import.meta.url), "utf8");
}

export const BEFORE = example("before.yaml");
export const WRITE_ORIGIN = "Apply: write https://console.example.com";

/** @typedef {import("@playwright/test").Page} Page */

/** @param {Page} page */
export function status(page) {
  return page.locator("#status");
}

/** @param {Page} page */
export function message(page) {
  return page.locator("#message");
}

/** @param {Page} page */
export function findings(page) {
  return page.locator(".finding");
}

/** @param {Page} page */
export function editor(page) {
  return page.getByRole("textbox", { name: "Manifests, as YAML" });
}

/** @param {Page} page */
export async function openExample(page) {
  await page.getByRole("button", { name: "Open example" }).click();
  // The first visit has the same status.
  await expect(message(page)).toHaveText("Opened before.yaml.");
  await expect(status(page)).not.toHaveAttribute("data-stale", "");
  await expect(status(page)).toContainText("10 violations in 6 objects");
}

/**
 * @param {Page} page
 * @param {string} name
 * @param {string | Buffer} text
 */
export async function openFile(page, name, text) {
  await page.locator("#files").setInputFiles({ name, mimeType: "text/yaml", buffer: Buffer.from(text) });
}

/**
 * The whole text. The editor draws only the part in view.
 *
 * @param {Page} page
 */
export async function textOf(page) {
  await editor(page).focus();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Control+c");
  return page.evaluate(() => navigator.clipboard.readText());
}

/**
 * Opens the settings of a policy.
 *
 * @param {Page} page
 * @param {string} policy
 */
export async function openSettings(page, policy) {
  await page.getByRole("tab", { name: "Settings" }).click();
  const details = page.locator("details.policy").filter({ has: page.getByText(policy, { exact: true }) });
  await details.locator("summary").click();
  return details;
}
