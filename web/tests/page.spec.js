import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import AxeBuilder from "@axe-core/playwright";
import { expect, test } from "@playwright/test";

import {
  BEFORE, WRITE_ORIGIN, editor, example, findings, message, openExample, openFile, openSettings, status, textOf,
} from "./page.js";

test.use({ permissions: ["clipboard-read", "clipboard-write"] });

/** @type {string[]} */
let complaints = [];

test.beforeEach(async ({ page }) => {
  complaints = [];
  page.on("console", (said) => said.type() === "error" && complaints.push(said.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() =>
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`refused by the Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI}`)),
  );
});

test.describe("the page", () => {
  test.beforeEach(({ page }) => page.goto(""));
  // No test may cause an error, or break the page's Content-Security-Policy.
  test.afterEach(() => expect(complaints).toEqual([]));

  test("shows a checked example on the first visit, and a neutral status without a text", async ({ page }) => {
    await expect(status(page)).toContainText("7 objects checked: 10 violations in 6 objects, 1 notice.");
    await expect(message(page)).toContainText("This is an example, checked in advance.");
    await page.getByRole("button", { name: "Clear" }).click();
    await expect(status(page)).toHaveText(/Nothing to check yet/);
    await expect(status(page)).toHaveAttribute("data-look", "neutral");
    await expect(page.getByRole("button", { name: "Copy report" })).toBeHidden();
  });

  test("shows how many objects each policy checked", async ({ page }) => {
    await openExample(page);
    await expect(status(page)).toContainText("flyte-non-root (4)");
    await expect(status(page)).toContainText("Requirements: 1 hold, 5 broken, 0 not shown.");
  });

  test("shows settings that are not the defaults while they are in force, and resets them", async ({ page }) => {
    await expect(page.locator("#in-force")).toBeHidden();
    const settings = { "flyte-non-root": { exceptions: [] }, "flyte-admin-cors": { allowHttp: [] } };
    await page.evaluate((hash) => void (location.hash = hash), `#settings=${encodeURIComponent(JSON.stringify({ settings }))}`);
    const inForce = page.locator("#in-force");
    await expect(inForce).toContainText("Not the default settings: flyte-admin-cors.allowHttp, flyte-non-root.exceptions");
    await page.getByRole("button", { name: "Open fixed example" }).click();
    await expect(status(page)).toContainText("2 violations in 2 objects");
    await expect(inForce).toBeVisible();
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await inForce.getByRole("button", { name: "Show settings" }).click();
    await expect(page.getByRole("tab", { name: "Settings" })).toHaveAttribute("aria-selected", "true");
    await inForce.getByRole("button", { name: "Reset settings" }).click();
    await expect(inForce).toBeHidden();
    expect(new URL(page.url()).hash).toBe("");
  });

  test("takes a settings file of the command, and a policy.yaml", async ({ page }) => {
    await page.getByRole("tab", { name: "Settings" }).click();
    const open = (/** @type {string} */ name, /** @type {string} */ text) =>
      page.locator("#settings-file").setInputFiles({ name, mimeType: "", buffer: Buffer.from(text) });
    await open("settings.yaml", "flyte-non-root: {level: restricted}\n");
    await expect(page.locator("#in-force")).toContainText("flyte-non-root.level");
    const module = "registry://ghcr.io/flytewarden/policies/flyte-non-root-image-user:v0.1.0";
    for (const [setting, name] of [["groups: nonZero", module], ["imageUser: check", "file:///x/flyte-non-root.wasm"]]) {
      await open("policy.yaml", `kind: ClusterAdmissionPolicy\nspec: {module: "${name}", settings: {${setting}}}\n`);
      await expect(page.locator("#in-force")).toContainText(`flyte-non-root.${setting.split(":")[0]}`);
    }
    await open("flytewarden.yaml", "fail-on: high\nsettings: {flyte-admin-cors: {allowHttp: []}}\n");
    await expect(page.locator("#in-force")).toContainText("flyte-admin-cors.allowHttp");
    await open("other.yaml", "- a\n");
    await expect(message(page)).toHaveText("other.yaml cannot be used as settings: expected a map from policy names to their settings.");
  });

  test("checks the listed users of images", async ({ page }) => {
    await openFile(page, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: flyteadmin}\nspec: {containers: [{name: flyteadmin, image: 'a:1'}]}\n");
    await expect(page.locator(".finding.violation")).toHaveCount(1);
    await page.getByRole("tab", { name: "Settings" }).click();
    await page.getByRole("textbox", { name: "Image users" }).fill("a:1: 1001");
    await page.getByRole("tab", { name: "Findings" }).click();
    await expect(page.locator(".finding.violation")).toHaveCount(0);
  });

  test("fixes all that needs no decision, after it shows the changes", async ({ page }) => {
    await openExample(page);
    const fixAll = page.getByRole("button", { name: "Fix all that needs no decision (6)" });
    await fixAll.click();
    const dialog = page.getByRole("dialog", { name: "Fix all that needs no decision" });
    await expect(dialog).toContainText("-  ADMIN_API_URL: https://flyte.example.com/");
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    expect(await textOf(page)).toBe(BEFORE);
    await fixAll.click();
    await dialog.getByRole("button", { name: "Apply" }).click();
    await expect(status(page)).toContainText("2 violations in 1 object");
    await expect(fixAll).toBeHidden();
    await page.getByRole("button", { name: "Undo", exact: true }).click();
    await expect(status(page)).toContainText("10 violations");
  });

  test("goes to the lines that a fix changed, and confirms it where its button was", async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await openExample(page);
    await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
    await expect(page.locator(".cm-line.changed")).toHaveText(/- https:\/\/console.example.com/);
    const confirmed = page.locator(".confirmed");
    await expect(confirmed).toContainText("Applied: write https://console.example.com.");
    await expect(confirmed).toBeInViewport();
    await confirmed.getByRole("button", { name: "Undo this" }).click();
    await expect(status(page)).toContainText("10 violations");
    await expect(page.locator(".cm-line.changed")).toHaveCount(0);
  });

  test("copies and downloads the report in the command's formats", async ({ page }) => {
    await openExample(page);
    const format = page.getByRole("combobox", { name: "Format of the report" });
    for (const [label, start] of [
      ["Text", "Deployment flyte/flyteadmin  before.yaml:3\n"],
      ["Markdown", "## Flytewarden: 10 violations\n"],
      ["JSON", '{\n  "format": "flytewarden-report/v1"'],
      ["SARIF", '{\n  "$schema": "https://docs.oasis-open.org/sarif/'],
    ]) {
      await format.selectOption(label ?? "");
      await page.getByRole("button", { name: "Copy report" }).click();
      await expect(message(page)).toHaveText("The report: copied.");
      // The last copy has left the same message.
      await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain(start);
    }
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download report" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("flytewarden.sarif");
  });

  test("lists only the findings that the filters select", async ({ page }) => {
    await openExample(page);
    await page.getByRole("combobox", { name: "Filter by severity" }).selectOption("high");
    await expect(page.locator(".finding")).toHaveCount(3);
    await page.getByRole("combobox", { name: "Filter by policy" }).selectOption("flyte-admin-cors");
    await expect(page.locator(".finding")).toHaveCount(1);
    await expect(page.getByRole("combobox", { name: "Filter by policy" })).toBeFocused();
    await expect(status(page)).toContainText("10 violations");
    await page.getByRole("combobox", { name: "Filter by severity" }).selectOption("");
    await page.getByRole("combobox", { name: "Filter by policy" }).selectOption("");
    await page.getByRole("combobox", { name: "Filter by kind" }).selectOption("Secret");
    await expect(page.locator(".finding")).toHaveCount(2);
  });

  test("keeps the tab's manifests only if the user wants that, and asks before they are lost", async ({ page }) => {
    await openFile(page, "own.yaml", "# mine\n");
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    const asked = page.waitForEvent("dialog");
    const reloaded = page.reload();
    const dialog = await asked;
    expect(dialog.type()).toBe("beforeunload");
    await dialog.accept();
    await reloaded;
    await expect(message(page)).toContainText("This is an example, checked in advance.");
    await openFile(page, "own.yaml", "# mine\n");
    await page.getByRole("checkbox", { name: /^Keep the manifests/ }).check();
    await page.reload();
    await expect(message(page)).toHaveText("This tab kept these manifests.");
    expect(await textOf(page)).toBe("# mine\n");
    await page.getByRole("checkbox", { name: /^Keep the manifests/ }).uncheck();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  });

  test("prints the report, and nothing else", async ({ page }) => {
    await openExample(page);
    await page.emulateMedia({ media: "print" });
    await expect(page.locator(".finding").first()).toBeVisible();
    for (const hidden of [".input", "#tools", ".filters", "footer", ".tabs"]) await expect(page.locator(hidden)).toBeHidden();
  });

  test("has no control that is smaller than 24 pixels", async ({ page }) => {
    await openExample(page);
    const small = await page.evaluate(() => [...document.querySelectorAll("button, select, summary, input:not([type=file]), #keep")]
      .map((element) => ({ text: element.textContent || element.id, box: (element.closest("label") ?? element).getBoundingClientRect() }))
      .filter(({ box }) => box.height > 0 && (box.height < 24 || box.width < 24)));
    expect(small).toEqual([]);
  });

  test("shows the example's violations where they are, in the list and in the editor", async ({ page }) => {
    await openExample(page);
    await expect(status(page)).toContainText("7 objects checked: 10 violations in 6 objects, 1 notice.");
    await expect(status(page)).toContainText("4 other objects are not covered by any policy (2 Ingress, 2 Service).");
    await expect(page.locator(".finding.violation")).toHaveCount(10);
    await expect(page.locator(".finding.notice")).toHaveCount(1);
    const finding = findings(page).filter({ hasText: "flyte-admin-cors/never-matches" });
    await expect(finding).toContainText('data["server.yaml"] line 22, server.security.allowedOrigins[1] line 118');
    await expect(finding).toContainText("no browser ever sends https://console.example.com/: it ends with a slash");
    await finding.getByRole("button", { name: "line 118" }).click();
    const line = page.locator(".cm-line.marked").filter({ hasText: "- https://console.example.com/" });
    await expect(line).toContainText("it ends with a slash");
    await expect(line).toBeInViewport();
    await expect(editor(page)).toBeFocused();
    expect(await lineOf(page, line)).toBe("118");
  });

  test("shows for each sentence of the document whether it holds", async ({ page }) => {
    await openExample(page);
    const sentences = page.getByRole("region", { name: "Flyte's Security Overview" }).getByRole("listitem");
    await expect(sentences).toHaveCount(6);
    await expect(sentences.nth(0)).toContainText("broken components run as a non-root user");
    await expect(sentences.nth(1)).toContainText("holds the exception check-db-ready");
    await page.getByRole("button", { name: "Open fixed example" }).click();
    await expect(sentences.filter({ hasText: "holds" })).toHaveCount(6);
    const { violations } = await new AxeBuilder({ page }).include(".sentences").analyze();
    expect(violations).toEqual([]);
  });

  test("looks good only if objects were checked and have no violation", async ({ page }) => {
    await page.getByRole("button", { name: "Open fixed example" }).click();
    await expect(status(page)).toContainText("no violation");
    await expect(status(page)).toHaveAttribute("data-look", "good");
    await openFile(page, "service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n");
    await expect(findings(page)).toContainText("no Flyte objects found in these manifests");
    await expect(status(page)).toHaveAttribute("data-look", "unjudged");
  });

  test("applies a fix to its line, and undoes it", async ({ page }) => {
    await openExample(page);
    await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
    await expect(status(page)).toContainText("9 violations");
    await expect(page.getByRole("button", { name: WRITE_ORIGIN, exact: true })).toHaveCount(0);
    const before = BEFORE.split("\n");
    const after = (await textOf(page)).split("\n");
    expect(after).toHaveLength(before.length);
    const changed = after.flatMap((line, index) => (line === before[index] ? [] : [[index + 1, line]]));
    expect(changed).toEqual([[118, "        - https://console.example.com"]]);
    await page.keyboard.press("Control+z");
    await expect(status(page)).toContainText("10 violations");
    expect(await textOf(page)).toBe(BEFORE);
  });

  test("undoes a fix from the list too", async ({ page }) => {
    await openExample(page);
    await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
    await expect(status(page)).toContainText("9 violations");
    await expect(message(page)).toContainText("Undo reverts it");
    await page.keyboard.press("Control+z");
    await expect(status(page)).toContainText("10 violations");
    // The message is removed.
    await expect(message(page)).toHaveText("");
  });

  test("copies the fixed text, and undoes without a keyboard", async ({ page }) => {
    await openExample(page);
    await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
    await expect(status(page)).toContainText("9 violations");
    await page.getByRole("button", { name: "Copy all" }).click();
    await expect(message(page)).toHaveText("The manifests: copied.");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied.split("\n")[117]).toBe("        - https://console.example.com");
    await page.getByRole("button", { name: "Undo", exact: true }).click();
    await expect(status(page)).toContainText("10 violations");
  });

  test("goes to the next finding with F8, and applies its fix there", async ({ page }) => {
    await openExample(page);
    await findings(page).filter({ hasText: "never-matches" }).getByRole("button", { name: "line 118" }).click();
    await page.keyboard.press("F8");
    await page.locator(".cm-tooltip").getByRole("button", { name: WRITE_ORIGIN }).click();
    await expect(status(page)).toContainText("9 violations");
  });

  test("reports a malformed document as not checked, with its line, and never looks good", async ({ page }) => {
    await openFile(page, "broken.yaml", `${example("after.yaml")}---\napiVersion: v1\nkind: [\n`);
    await expect(status(page)).toContainText("1 could not be checked.");
    await expect(status(page)).toHaveAttribute("data-look", "unjudged");
    const first = findings(page).first();
    await expect(first).toContainText("Not checked");
    const lines = example("after.yaml").split("\n").length + 2;
    const jump = page.locator(".finding, #list h3").getByRole("button").first();
    await expect(jump).toHaveText(`line ${lines}`);
    await jump.click();
    await expect(page.locator(".cm-line.marked")).toContainText("kind: [");
  });

  test("reports endless brackets as not checked, and takes the next text", async ({ page }) => {
    await openFile(page, "deep.yaml", "[".repeat(100_000));
    await expect(status(page)).toContainText("1 could not be checked.");
    await openExample(page);
    expect(await textOf(page)).toBe(BEFORE);
  });

  test("checks what is typed", async ({ page }) => {
    await openExample(page);
    await findings(page).filter({ hasText: "never-matches" }).getByRole("button", { name: "line 118" }).click();
    await page.keyboard.press("End");
    await page.keyboard.press("Backspace");
    await expect(status(page)).toContainText("9 violations");
    await page.keyboard.type("/path");
    await expect(status(page)).toContainText("10 violations");
    await page.getByRole("button", { name: "Clear" }).click();
    await expect(status(page)).toContainText("Nothing to check yet");
    await expect(findings(page)).toHaveCount(0);
  });

  test("keeps several files apart, checks them together, and downloads each", async ({ page }) => {
    const middle = BEFORE.lastIndexOf("---\n", BEFORE.indexOf("name: flyteconsole\n"));
    const [admin, console] = [BEFORE.slice(0, middle), BEFORE.slice(middle)];
    await page.locator("#files").setInputFiles([
      { name: "b.yaml", mimeType: "", buffer: Buffer.from(console) },
      { name: "a.yaml", mimeType: "", buffer: Buffer.from(admin) },
    ]);
    await expect(message(page)).toHaveText("Opened 2 files.");
    await expect(status(page)).toContainText("10 violations in 6 objects");
    const tabs = page.getByRole("tablist", { name: "Files" }).getByRole("tab");
    await expect(tabs).toHaveText([/^a\.yaml\d+$/, /^b\.yaml\d+$/]);
    expect(await textOf(page)).toBe(admin);
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    // A fix in the other file shows that file.
    await page.getByRole("button", { name: "Apply: write https://flyte.example.com", exact: true }).click();
    await expect(tabs.nth(1)).toHaveAttribute("aria-selected", "true");
    await expect(status(page)).toContainText("9 violations");
    await expect(page.locator(".cm-line.changed")).toContainText("ADMIN_API_URL: https://flyte.example.com");
    await page.getByRole("button", { name: /^Fix all/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
    await expect(status(page)).toContainText("2 violations in 1 object");
    /** @type {import("@playwright/test").Download[]} */
    const downloads = [];
    page.on("download", (download) => downloads.push(download));
    await page.getByRole("button", { name: "Download all" }).click();
    await expect.poll(() => downloads.map((download) => download.suggestedFilename())).toEqual(["a.yaml", "b.yaml"]);
    // One step takes the fixes of both files back, and another the files themselves.
    await page.getByRole("button", { name: "Undo", exact: true }).click();
    await expect(status(page)).toContainText("9 violations");
    await tabs.nth(1).focus();
    await page.keyboard.press("ArrowLeft");
    await expect(tabs.nth(0)).toBeFocused();
    expect(await textOf(page)).toBe(admin);
  });

  test("undoes the opening of a file", async ({ page }) => {
    await openFile(page, "service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n");
    await expect(status(page)).toContainText("could not be checked");
    await page.getByRole("button", { name: "Undo", exact: true }).click();
    await expect(status(page)).toContainText("10 violations");
    await page.keyboard.press("Control+Shift+z");
    await expect(status(page)).toContainText("could not be checked");
  });

  test("shows what to paste if no policy checks any object", async ({ page }) => {
    await openFile(page, "service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: other}\n");
    const nobody = page.locator(".nobody");
    await expect(nobody).toContainText("(1 Service)");
    await expect(nobody).toContainText("helm template flyte flyteorg/flyte-core");
    await nobody.getByRole("button", { name: "Show an example" }).click();
    await expect(status(page)).toContainText("10 violations");
  });

  test("offers no button for a change that it cannot make, and gives the reason", async ({ page }) => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec: { containers: [
      { name: "flyteadmin", image: "cr.flyte.org/flyteorg/flyteadmin:v1.16.8", securityContext: { runAsUser: 0 } },
    ] } };
    await openFile(page, "pod.json", JSON.stringify(pod));
    await expect(findings(page)).toHaveCount(1);
    await expect(findings(page)).toContainText("The page cannot make this change: JSON cannot be edited.");
    await expect(page.getByRole("button", { name: /^Apply/ })).toHaveCount(0);
    await expect(page.getByRole("button", { name: /^Fix all/ })).toBeHidden();
  });

  test("sets missing users too, if the user wants that", async ({ page }) => {
    const name = "flyteconsole";
    await openFile(page, "console.yaml", `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ${name}}\nspec:\n  template:\n    spec:\n      containers:\n      - name: ${name}\n        image: cr.flyte.org/flyteorg/${name}:v1.21.0\n`);
    await expect(findings(page).first()).toContainText("not-proven-non-root");
    await page.getByRole("button", { name: /^(Fix all|Set missing users)/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("checkbox").setChecked(true);
    await expect(dialog).toContainText("+        fsGroupChangePolicy: OnRootMismatch");
    await dialog.getByRole("button", { name: "Apply" }).click();
    await expect(page.locator(".finding.violation")).toHaveCount(0);
  });

  test("folds an object, which stays folded", async ({ page }) => {
    await openExample(page);
    const object = page.locator("details.object").filter({ hasText: "ConfigMap flyte/flyte-admin-base-config" }).first();
    await object.locator("> summary").click();
    await expect(object.locator(".finding").first()).toBeHidden();
    await page.getByRole("button", { name: "Apply: write https://flyte.example.com", exact: true }).click();
    await expect(status(page)).toContainText("9 violations");
    await expect(object.locator(".finding").first()).toBeHidden();
  });

  test("shows its buttons for manifests in one row at 1440 pixels", async ({ page }) => {
    await page.setViewportSize({ width: 1440, height: 900 });
    const tops = await page.locator(".input .bar button:visible").evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
    expect(new Set(tops).size).toBe(1);
  });

  for (const [how, open] of /** @type {const} */ ([["chosen", choose], ["dropped", drop]])) {
    test(`opens the manifests of a folder that is ${how}, and names files that are not UTF-8`, async ({ page }, { outputDir }) => {
      const chart = join(outputDir, "chart");
      mkdirSync(join(chart, "templates"), { recursive: true });
      writeFileSync(join(chart, "templates", "all.yaml"), BEFORE);
      writeFileSync(join(chart, "latin1.yml"), Buffer.from("name: M\xfcnchen", "latin1"));
      writeFileSync(join(chart, "README.md"), "# Chart");
      await open(page, chart);
      await expect(message(page)).toContainText("Opened chart/templates/all.yaml.");
      await expect(message(page)).toContainText("Left out a file: chart/latin1.yml (not UTF-8).");
      await expect(message(page)).toContainText("1 other file is not .yaml, .yml or .json.");
      await expect(status(page)).toContainText("10 violations");
    });
  }

  test("leaves the text as it is when nothing can be opened", async ({ page }) => {
    await openExample(page);
    await openFile(page, "utf16.yaml", Buffer.from("\ufeffkind: A", "utf16le"));
    await expect(message(page)).toHaveText("Left out a file: utf16.yaml (not UTF-8).");
    await expect(status(page)).toContainText("10 violations");
  });

  test("opens dropped files, also onto the editor", async ({ page }) => {
    const transfer = await page.evaluateHandle((text) => {
      const dropped = new DataTransfer();
      dropped.items.add(new File([text], "rendered.yaml"));
      return dropped;
    }, BEFORE);
    await editor(page).dispatchEvent("drop", { dataTransfer: transfer });
    await expect(message(page)).toHaveText("Opened rendered.yaml.");
    await expect(status(page)).toContainText("10 violations");
    expect(await textOf(page)).toBe(BEFORE);
  });

  test("writes the form's settings as YAML, and checks with them", async ({ page }) => {
    await openExample(page);
    const policy = await openSettings(page, "flyte-non-root");
    await policy.getByRole("combobox", { name: "Level" }).selectOption("restricted");
    const yaml = policy.getByRole("textbox", { name: /^In the policy's spec/ });
    await expect(yaml).toHaveValue("  settings:\n    level: restricted");
    await expect(status(page)).not.toContainText("10 violations");
    await expect(policy.locator("summary")).toContainText("1 setting");
    // YAML 1.1, which kubectl reads, takes a plain off for false.
    await policy.getByRole("combobox", { name: "Groups" }).selectOption("off");
    await expect(yaml).toHaveValue('  settings:\n    level: restricted\n    groups: "off"');
    await policy.getByRole("combobox", { name: "Level" }).selectOption("not set (default: effective)");
    await policy.getByRole("combobox", { name: "Groups" }).selectOption("not set (default: off)");
    await expect(yaml).toHaveValue("  settings: {}");
    await expect(status(page)).toContainText("10 violations");
    await policy.getByRole("button", { name: "Copy the settings of flyte-non-root" }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe("  settings: {}");
  });

  test("edits lists and lists of maps, and distinguishes an empty list from an unset one", async ({ page }) => {
    const cors = await openSettings(page, "flyte-admin-cors");
    const corsYaml = cors.getByRole("textbox", { name: /^In the policy's spec/ });
    await cors.getByRole("textbox", { name: "Trusted origins" }).fill("https://a.example.com\nhttps://b.example.com\n");
    await expect(corsYaml).toHaveValue(
      "  settings:\n    trustedOrigins:\n      - https://a.example.com\n      - https://b.example.com",
    );
    await cors.getByRole("textbox", { name: "Trusted origins" }).fill("");
    await cors.getByRole("checkbox", { name: "Trusted origins: set to an empty list" }).check();
    await expect(corsYaml).toHaveValue("  settings:\n    trustedOrigins: []");
    const policy = await openSettings(page, "flyte-non-root");
    const yaml = policy.getByRole("textbox", { name: /^In the policy's spec/ });
    await policy.getByRole("button", { name: "Add an entry" }).click();
    await page.keyboard.type("wait");
    await policy.getByRole("textbox", { name: "Images" }).fill("busybox");
    await expect(yaml).toHaveValue(
      "  settings:\n    exceptions:\n      - initContainer: wait\n        images:\n          - busybox",
    );
    await policy.getByRole("button", { name: "Remove Exceptions 1" }).click();
    await expect(yaml).toHaveValue("  settings: {}");
    await policy.getByRole("button", { name: "Start from the default" }).click();
    await expect(policy.getByRole("textbox", { name: "Init container" })).toHaveValue("check-db-ready");
  });

  test("fills the form from YAML, and keeps values that only YAML can express", async ({ page }) => {
    await openExample(page);
    const policy = await openSettings(page, "flyte-non-root");
    const yaml = policy.getByRole("textbox", { name: /^In the policy's spec/ });
    await yaml.fill("settings:\n  level: restricted\n  fill:\n    flyteadmin: {runAsUser: 65534}\n");
    await expect(policy.getByRole("combobox", { name: "Level" })).toHaveValue("1");
    await expect(policy.getByRole("combobox", { name: "Fill" }).locator(":checked")).toHaveText("set in YAML");
    await policy.getByRole("combobox", { name: "Level" }).selectOption("effective");
    await expect(yaml).toHaveValue(
      "  settings:\n    level: effective\n    fill:\n      flyteadmin:\n        runAsUser: 65534",
    );
  });

  test("explains wrong settings, and shows no verdict with them", async ({ page }) => {
    await page.getByRole("button", { name: "Open fixed example" }).click();
    await expect(status(page)).toHaveAttribute("data-look", "good");
    const policy = await openSettings(page, "flyte-non-root");
    const yaml = policy.getByRole("textbox", { name: /^In the policy's spec/ });
    await yaml.fill("settings:\n  level: loose\n");
    await expect(policy.locator(".wrong")).toContainText("level: unknown value loose");
    await expect(status(page)).toContainText("Nothing was checked.");
    await expect(status(page)).toContainText("the settings of flyte-non-root are not valid");
    await expect(status(page)).toHaveAttribute("data-look", "unjudged");
    await yaml.fill("settings:\n  level: [\n");
    await expect(policy.locator(".wrong")).toContainText("Not valid: line 3");
    await expect(status(page)).toContainText("Nothing was checked.");
    await yaml.fill("settings:\n");
    await expect(status(page)).toHaveAttribute("data-look", "good");
  });

  test("puts the settings into a link, but not the manifests", async ({ page, context }) => {
    await openExample(page);
    const policy = await openSettings(page, "flyte-non-root");
    await policy.getByRole("combobox", { name: "Level" }).selectOption("restricted");
    await page.getByRole("textbox", { name: "Namespace", exact: true }).fill("flyte");
    await page.getByRole("button", { name: "Copy link" }).click();
    await expect(message(page)).toHaveText("The link: copied.");
    const link = await page.evaluate(() => navigator.clipboard.readText());
    const carried = JSON.parse(decodeURIComponent(new URL(link).hash.slice("#settings=".length)));
    expect(carried).toEqual({ settings: { "flyte-non-root": { level: "restricted" } }, namespace: "flyte", imageUsers: "" });

    const other = await context.newPage();
    await other.goto(link);
    const restored = await openSettings(other, "flyte-non-root");
    await expect(restored.getByRole("combobox", { name: "Level" }).locator(":checked")).toHaveText("restricted");
    await expect(other.getByRole("textbox", { name: "Namespace", exact: true })).toHaveValue("flyte");
    await expect(other.locator("#in-force")).toContainText("flyte-non-root.level, namespace flyte");
    expect(await other.evaluate(() => [localStorage.length, sessionStorage.length])).toEqual([0, 0]);
  });

  for (const [fragment, reason] of [
    ["#settings=%7B%22set", "it is cut off or mistyped"],
    ["#settings=%zz", "it is cut off or mistyped"],
    ["#settings=[1]", "its settings are not by policy"],
    ['#settings={"settings":{"flyte-nothing":{}}}', "unknown policies: flyte-nothing"],
  ]) {
    test(`reports for the link ${fragment} that ${reason}`, async ({ page }) => {
      await page.evaluate((hash) => void (location.hash = hash), fragment ?? "");
      await expect(message(page)).toContainText(reason ?? "");
    });
  }

  test("can be used with the keyboard alone", async ({ page }) => {
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name: "Skip to the findings" })).toBeFocused();
    await tabTo(page, "Open example");
    await page.keyboard.press("Enter");
    await expect(status(page)).toContainText("10 violations");
    await tabTo(page, WRITE_ORIGIN);
    await page.keyboard.press("Enter");
    await expect(status(page)).toContainText("9 violations");
    // The focus stays where the fixed finding was.
    await expect(page.locator("#panel-findings :focus")).toHaveCount(1);
    await tabTo(page, "Apply: write https://flyte.example.com");
  });

  for (const [name, colorScheme, width] of /** @type {const} */ ([
    ["light", "light", 1280],
    ["dark", "dark", 1280],
    ["narrow", "light", 375],
  ])) {
    test(`is accessible: ${name}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await openExample(page);
      expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
      const policy = await openSettings(page, "flyte-non-root");
      await policy.getByRole("button", { name: "Start from the default" }).click();
      await policy.getByRole("textbox", { name: "Init container" }).fill("");
      await expect(policy.locator(".wrong")).toBeVisible();
      expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wider).toBeLessThanOrEqual(0);
    });
  }

  test("sends no request to another host, and forbids such requests", async ({ page, baseURL }) => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.reload();
    await openExample(page);
    await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
    await openSettings(page, "flyte-non-root");
    await page.getByRole("button", { name: "Copy link" }).click();
    await expect(status(page)).toContainText("9 violations");
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((url) => !url.startsWith(baseURL ?? ""))).toEqual([]);
    const policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').getAttribute("content");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toContain("unsafe-inline");
  });

  test("fetches the module for certificates once there is a certificate", async ({ page }) => {
    /** @type {string[]} */
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    const fetched = () => asked.filter((url) => url.endsWith("pki_bg.wasm")).length;
    // The example of the first visit has one.
    await page.route("**/examples/*", (route) => route.fulfill({ body: "" }), { times: 2 });
    await page.reload();
    await expect(status(page)).toContainText("Nothing to check yet");
    asked.length = 0;
    await openFile(page, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: flyteadmin}\nspec: {containers: []}\n");
    await expect(status(page)).toContainText("1 object checked");
    expect(fetched()).toBe(0);
    await openExample(page);
    await expect(findings(page).filter({ hasText: "flyte-oauth-tls/self-signed" })).toHaveCount(1);
    expect(fetched()).toBe(1);
  });

  test("explains a rule, and links to more", async ({ page }) => {
    await openExample(page);
    const finding = findings(page).filter({ hasText: "flyte-oauth-tls/self-signed" });
    await finding.getByText("flyte-oauth-tls/self-signed", { exact: true }).click();
    await expect(finding.getByText("Finds a leaf that is signed with its own key")).toBeVisible();
    await expect(finding.getByRole("link", { name: "More" })).toHaveAttribute("href", /README\.md#self-signed$/);
  });

  test("takes keystrokes in 50,000 lines while it checks them", async ({ page }) => {
    test.setTimeout(180_000);
    await editor(page).focus();
    const empty = await delaysOfKeys(page);
    const chart = Array(Math.ceil(50_000 / BEFORE.split("\n").length)).fill(BEFORE).join("---\n");
    await openFile(page, "large.yaml", chart);
    await expect(status(page)).toContainText(/[\d,]{5} violations/, { timeout: 60_000 });
    // The list does not show all findings at once.
    const listed = await findings(page).count();
    expect(listed).toBeLessThan(150);
    await page.getByRole("button", { name: "Show more" }).click();
    expect(await findings(page).count()).toBeGreaterThan(listed);
    await editor(page).focus();
    await page.keyboard.press("Control+End");
    await page.keyboard.type("#");
    await page.waitForTimeout(300);
    const large = await delaysOfKeys(page);
    await expect(status(page)).not.toHaveAttribute("data-stale", "", { timeout: 60_000 });
    console.log(`${chart.split("\n").length} lines: from a key to the next frame ${large.median.toFixed(1)} ms (median), ` +
      `${large.longest.toFixed(1)} ms (longest); in an empty text ${empty.median.toFixed(1)} ms (median)`);
    expect(large.while).toEqual(["Checking…"]);
    // The time of a key in an empty text shows how busy the machine is.
    expect(large.median).toBeLessThan(Math.max(100, 4 * empty.median));
  });
});

/**
 * Types, and measures how long the page takes to draw each key.
 *
 * @param {Page} page
 */
async function delaysOfKeys(page) {
  await page.evaluate(() => {
    Object.assign(globalThis, { delays: [], seen: [] });
    globalThis.measure ??= addEventListener("keydown", ({ timeStamp }) =>
      // Runs after the next frame has been drawn.
      requestAnimationFrame(() => setTimeout(() => {
        delays.push(performance.now() - timeStamp);
        seen.push(document.getElementById("busy").textContent);
      })), true) ?? true;
  });
  for (let key = 0; key < 20; key += 1) {
    await page.keyboard.type("x");
    await page.waitForFunction((keys) => globalThis.delays.length === keys, key + 1);
  }
  const { delays, seen } = await page.evaluate(() => ({ delays: globalThis.delays, seen: globalThis.seen }));
  delays.sort((one, other) => one - other);
  return { median: delays[10], longest: delays[19], while: [...new Set(seen)] };
}

test("reports that the policies cannot be loaded, and recovers", async ({ page }) => {
  await page.route("**/*.wasm", (route) => route.fulfill({ contentType: "application/wasm", body: "garbage" }));
  await page.goto("");
  await expect(status(page)).toContainText("This could not be checked.");
  await expect(status(page)).toContainText("the policies could not be loaded");
  await openFile(page, "after.yaml", example("after.yaml"));
  await expect(status(page)).toHaveAttribute("data-look", "unjudged");
  // Otherwise the check of the file would find the policies, and there would be nothing to try again.
  await expect(status(page)).not.toHaveAttribute("data-stale", "");
  await page.unroute("**/*.wasm");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(status(page)).toContainText("no violation");
});

test("checks all but certificates when the module for certificates cannot be fetched, and recovers", async ({ page }) => {
  await page.route("**/pki_bg.wasm", (route) => route.abort());
  await page.goto("");
  await openFile(page, "before.yaml", BEFORE);
  await expect(status(page)).toContainText("1 could not be checked.");
  await expect(status(page)).toHaveAttribute("data-look", "unjudged");
  await expect(page.locator(".finding.unjudged")).toContainText("what certificates are checked with is not loaded");
  await expect(status(page)).toContainText("could not be loaded (Failed to fetch). The next check tries again");
  await expect(page.locator(".finding.violation")).toHaveCount(8);
  await page.unroute("**/pki_bg.wasm");
  await openFile(page, "before.yaml", BEFORE);
  await expect(page.locator(".finding.violation")).toHaveCount(10);
});

test("checks all but certificates while their module is being fetched, and certificates once it is there", async ({ page }) => {
  const answer = await openWhilePkiIsFetched(page);
  await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
  await expect(page.locator(".finding.violation")).toHaveCount(7);
  answer((route) => route.continue());
  await expect(page.locator(".finding.violation")).toHaveCount(9);
  await expect(status(page)).not.toContainText("fetched");
});

for (const [how, end, reason] of /** @type {const} */ ([
  ["does not come", (route) => route.abort(), "Failed to fetch"],
  ["traps", (route) => route.fulfill({ contentType: "application/wasm", body: TRAPPING_MODULE }), "unreachable"],
])) {
  test(`reports that the module for certificates ${how} in the end`, async ({ page }) => {
    const answer = await openWhilePkiIsFetched(page);
    answer(end);
    await expect(status(page)).toContainText(`could not be loaded (${reason}). The next check tries again`);
    await expect(page.locator(".finding.violation")).toHaveCount(8);
    await page.unroute("**/pki_bg.wasm");
    await openFile(page, "before.yaml", `${BEFORE}#\n`);
    await expect(page.locator(".finding.violation")).toHaveCount(10);
  });
}

/** @typedef {(route: import("@playwright/test").Route) => Promise<void>} Answer */

/**
 * Opens the example while the module for certificates is still loading, and waits for the first report.
 *
 * @param {import("@playwright/test").Page} page
 * @returns {Promise<(answer: Answer) => void>} answers the pending request
 */
async function openWhilePkiIsFetched(page) {
  /** @type {(answer: Answer) => void} */
  let resolve = () => {};
  /** @type {Promise<Answer>} */
  const answer = new Promise((resolved) => (resolve = resolved));
  await page.route("**/pki_bg.wasm", async (route) => (await answer)(route));
  await page.goto("");
  await openFile(page, "before.yaml", BEFORE);
  await expect(status(page)).toContainText("The data for checking certificates is being fetched.");
  await expect(page.locator(".finding.violation")).toHaveCount(8);
  return resolve;
}

test("gives up a check that does not end, once there is another text", async ({ page }) => {
  await prefixWorker(page, atTexts("HANG", "for (;;);"));
  await page.goto("");
  await openFile(page, "hang.yaml", "# \u00fc HANG\n");
  await expect(page.locator("#busy")).toHaveText("Checking…");
  await openExample(page);
});

test("shows next to a finding why its fix cannot be applied", async ({ page }) => {
  await prefixWorker(page, REFUSE_TO_MEND);
  await page.goto("");
  await openExample(page);
  await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
  const finding = findings(page).filter({ hasText: "never-matches" });
  await expect(finding.getByRole("alert")).toHaveText("Not applied: it is an alias");
  expect(await textOf(page)).toBe(BEFORE);
});

test("reports that the policies trapped, and starts them again", async ({ page }) => {
  await prefixWorker(page, atTexts("TRAP", UNREACHABLE));
  await page.goto("");
  await openExample(page);
  await openFile(page, "trap.yaml", "# \u00fc TRAP\n");
  await expect(status(page)).toContainText("This could not be checked.");
  await expect(status(page)).toContainText("the policies stopped: RuntimeError: unreachable");
  await expect(status(page)).toHaveAttribute("data-look", "unjudged");
  await expect(findings(page)).toHaveCount(0);
  await expect(page.locator(".cm-line.marked")).toHaveCount(0);
  await openExample(page);
});

const REFUSE_TO_MEND = `
addEventListener("message", (event) => {
  if (event.data.call !== "mend") return;
  event.stopImmediatePropagation();
  postMessage({ id: event.data.id, refused: "it is an alias" });
});
`;

// A module that runs the instruction `unreachable` when it starts.
const TRAPPING_MODULE = Buffer.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 8, 1, 0, 10, 5, 1, 3, 0, 0, 11,
]);
const UNREACHABLE = `new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([${[...TRAPPING_MODULE]}])));`;

/**
 * Runs code when the package reads a text with a mark. The text must contain non-ASCII characters: only those go through
 * the encoder.
 *
 * @param {string} mark
 * @param {string} code
 */
function atTexts(mark, code) {
  return `
    const encodeInto = TextEncoder.prototype.encodeInto;
    TextEncoder.prototype.encodeInto = function (text, into) {
      if (text.includes("${mark}")) { ${code} }
      return encodeInto.call(this, text, into);
    };
  `;
}

/**
 * Makes the worker run some code before its own.
 *
 * @param {import("@playwright/test").Page} page
 * @param {string} code
 */
async function prefixWorker(page, code) {
  await page.route("**/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${code}${await response.text()}` });
  });
}

/**
 * @param {import("@playwright/test").Page} page
 * @param {string} folder
 */
async function choose(page, folder) {
  await page.locator("#folder").setInputFiles(folder);
}

/**
 * Drops a file or a folder, as from a file manager: scripts in a page cannot create such an event.
 *
 * @param {import("@playwright/test").Page} page
 * @param {string} path
 */
async function drop(page, path) {
  const browser = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of /** @type {const} */ (["dragEnter", "dragOver", "drop"])) {
    await browser.send("Input.dispatchDragEvent", { type, x: 300, y: 400, data });
  }
}

/**
 * The number that the editor shows next to a line.
 *
 * @param {import("@playwright/test").Page} page
 * @param {import("@playwright/test").Locator} line
 */
async function lineOf(page, line) {
  const box = await line.boundingBox();
  for (const number of await page.locator(".cm-lineNumbers .cm-gutterElement").all()) {
    const there = await number.boundingBox();
    if (there && box && there.height > 0 && Math.abs(there.y - box.y) < 2) return number.textContent();
  }
}

/**
 * Presses Tab until a control has the focus.
 *
 * @param {import("@playwright/test").Page} page
 * @param {string} name
 */
async function tabTo(page, name) {
  const control = page.getByRole("button", { name, exact: true }).first();
  for (let presses = 0; presses < 60; presses += 1) {
    if (await control.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not lead to ${name}`);
}

test.describe("with a service worker", () => {
  test.use({ serviceWorkers: "allow" });

  test("reloads without a network", async ({ page, context }) => {
    await page.goto("");
    await expect(status(page)).toContainText("10 violations");
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.reload();
    await expect(status(page)).toContainText("10 violations");
    await context.setOffline(true);
    await page.reload();
    await expect(status(page)).toContainText("10 violations");
    await expect(page.locator("#version")).toHaveText(/^\d+\.\d+\.\d+$/);
  });
});

test("shows the example's verdict before the policies are loaded, but no verdict on another text", async ({ page }) => {
  const load = await policiesOnDemand(page);
  await page.goto("");
  await expect(status(page)).toContainText("10 violations in 6 objects");
  await expect(message(page)).toContainText("This is an example, checked in advance.");
  await expect(page.locator("#busy")).toHaveText("Loading the policies: 0 % of 1.5 MB");
  await expect(page.getByRole("button", { name: "Copy report" })).toBeHidden();
  await openFile(page, "after.yaml", example("after.yaml"));
  await expect(status(page)).toHaveText("Loading the policies: 0 % of 1.5 MB.");
  await expect(status(page)).toHaveAttribute("data-look", "neutral");
  await expect(findings(page)).toHaveCount(0);
  load();
  await expect(status(page)).toContainText("no violation");
});

test("applies a fix of the example as soon as the policies are loaded", async ({ page }) => {
  const load = await policiesOnDemand(page);
  await page.goto("");
  await page.getByRole("button", { name: WRITE_ORIGIN, exact: true }).click();
  expect(await textOf(page)).toBe(BEFORE);
  load();
  await expect(status(page)).toContainText("9 violations");
});

test("shows no verdict made in advance when a link brings settings", async ({ page }) => {
  const load = await policiesOnDemand(page);
  const settings = { "flyte-non-root": { exceptions: [] } };
  await page.goto(`#settings=${encodeURIComponent(JSON.stringify({ settings }))}`);
  await expect(message(page)).toContainText("This is an example");
  await expect(status(page)).toHaveText("Loading the policies: 0 % of 1.5 MB.");
  load();
  await expect(page.locator("#in-force")).toContainText("flyte-non-root.exceptions");
  await expect(status(page)).toContainText("violations");
});

test("the example's report in advance equals that of the policies", async ({ page }) => {
  await page.goto("");
  await expect(page.locator("#version")).toHaveText(/^\d+\.\d+\.\d+$/);
  const inAdvance = [await status(page).innerText(), await page.locator("#list").innerText()];
  // The first check of certificates fetches what it needs.
  await openExample(page);
  expect([await status(page).innerText(), await page.locator("#list").innerText()]).toEqual(inAdvance);
});

/**
 * Holds the policies back.
 *
 * @param {import("@playwright/test").Page} page
 * @returns {Promise<() => void>} lets them load
 */
async function policiesOnDemand(page) {
  /** @type {() => void} */
  let load = () => {};
  const wait = new Promise((resolve) => (load = () => resolve(undefined)));
  await page.route("**/policies_bg.wasm", async (route) => (await wait, route.continue()));
  return load;
}
