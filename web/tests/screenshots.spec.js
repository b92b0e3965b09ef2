// Takes pictures of the page into the folder in SCREENSHOTS.

import { join } from "node:path";

import { expect, test } from "@playwright/test";

const folder = process.env.SCREENSHOTS ?? "";
test.skip(folder === "", "SCREENSHOTS names no folder");

const VIEWS = /** @type {const} */ ([
  { name: "light", viewport: { width: 1280, height: 900 }, colorScheme: "light", fullPage: false },
  { name: "dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark", fullPage: false },
  { name: "narrow", viewport: { width: 390, height: 844 }, colorScheme: "light", fullPage: true },
]);

for (const { name, fullPage, ...options } of VIEWS) {
  test.describe(name, () => {
    test.use(options);

    test(`is drawn ${name}`, async ({ page }) => {
      await page.goto("");
      await page.getByRole("button", { name: "Open example" }).click();
      await expect(page.locator("#status")).toContainText("10 violations");
      await page.getByRole("button", { name: "line 118" }).click();
      await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
      await page.keyboard.press("F8");
      await expect(page.locator(".cm-tooltip")).toBeVisible();
      await page.screenshot({ path: join(folder, `${name}-finding.png`) });
      await page.keyboard.press("Escape");
      await page.getByRole("tab", { name: "Settings" }).click();
      await page.locator(".policy > summary").filter({ hasText: "flyte-non-root" }).click();
      await page.getByRole("combobox", { name: "Level" }).selectOption("restricted");
      await expect(page.locator("#status")).not.toContainText("10 violations");
      await page.screenshot({ path: join(folder, `${name}-settings.png`), fullPage });
    });
  });
}
