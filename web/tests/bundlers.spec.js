// The package's README names what each bundler needs. Each row builds a page that checks the example, itself and in a worker.

import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "@playwright/test";
import esbuild from "esbuild";
import * as vite from "vite";
import wasm from "vite-plugin-wasm";
import webpack from "webpack";

import { BEFORE } from "./page.js";

const PACKAGE = fileURLToPath(new URL("../../dist/npm", import.meta.url));

/** The code that the page and its worker run. */
const CHECK = `
  export async function violations() {
    await loadPki();
    const { toText } = await loadFormats();
    const report = check(${JSON.stringify(BEFORE)});
    if (!toText(report).includes("violations")) throw new Error(toText(report));
    return report.summary.violations;
  }
`;
const BUNDLED = `import { check, loadFormats, loadPki } from "flytewarden"; ${CHECK}`;
const FETCHED = `import init, { check, loadFormats, loadPki } from "flytewarden/web"; await init(); ${CHECK}`;

const FILES = {
  "index.html": '<!doctype html><html lang="en"><title></title><script type="module" src="./main.js"></script></html>',
  "main.js": `
    import { violations } from "./violations.js";
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    worker.onmessage = async ({ data }) => (document.title = \`\${await violations()} on the page, \${data} in the worker\`);
    worker.onerror = ({ message }) => (document.title = \`error in the worker: \${message}\`);
  `,
  "worker.js": 'import { violations } from "./violations.js"; postMessage(await violations());',
  "package.json": '{"type": "module"}',
};

/**
 * @param {string} root
 * @param {import("webpack").Configuration["experiments"]} [experiments]
 */
async function withWebpack(root, experiments) {
  const compiler = webpack({ mode: "production", context: root, entry: "./main.js", output: { path: join(root, "dist") }, experiments });
  const stats = await new Promise((resolve, reject) =>
    compiler?.run((error, stats) => (error || !stats ? reject(error) : resolve(stats))));
  expect(stats.toJson({ all: false, errors: true }).errors).toEqual([]);
  return join(root, "dist");
}

const WITH_PLUGIN = { plugins: [wasm()], worker: { format: "es", plugins: () => [wasm()] } };

/**
 * @param {string} root
 * @param {import("vite").InlineConfig} config
 */
async function withVite(root, config) {
  await vite.build({ ...viteConfig(root), ...config });
  return join(root, "dist");
}

/** @param {string} root */
async function withEsbuild(root) {
  const outdir = join(root, "dist");
  await esbuild.build({ entryPoints: ["main.js", "worker.js"].map((name) => join(root, name)), outdir, bundle: true, format: "esm" });
  for (const name of ["policies", "pki", "formats"]) await cp(join(PACKAGE, name, `${name}_bg.wasm`), join(outdir, `${name}_bg.wasm`));
  return outdir;
}

for (const { name, source, build } of [
  { name: "webpack, with asyncWebAssembly", source: BUNDLED, build: (root) => withWebpack(root, { asyncWebAssembly: true }) },
  { name: "webpack, without asyncWebAssembly", source: FETCHED, build: withWebpack },
  { name: "Vite, with vite-plugin-wasm", source: BUNDLED, build: (root) => withVite(root, WITH_PLUGIN) },
  { name: "Vite, without a plugin", source: FETCHED, build: (root) => withVite(root, { worker: { format: "es" } }) },
  { name: "esbuild, for pages", source: FETCHED, build: withEsbuild },
]) {
  test(`the package works as its README says with ${name}`, async ({ page }, { outputDir }) => {
    await writeProject(outputDir, source);
    const dist = await build(outputDir);
    await cp(join(outputDir, "index.html"), join(dist, "index.html"), { force: false });
    const server = createServer(async ({ url }, response) => {
      const path = join(dist, url === "/" ? "index.html" : new URL(url ?? "", "http://page").pathname);
      const type = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" }[extname(path)];
      await readFile(path).then(
        (body) => response.setHeader("Content-Type", type ?? "text/plain").end(body),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", () => listening(undefined)));
    await checksTheExample(page, server.address());
    server.close();
  });
}

for (const { name, source, config } of [
  { name: "vite-plugin-wasm", source: BUNDLED, config: WITH_PLUGIN },
  { name: "optimizeDeps", source: FETCHED, config: { optimizeDeps: { exclude: ["flytewarden"] } } },
]) {
  test(`the package works as its README says in Vite's development server with ${name}`, async ({ page }, { outputDir }) => {
    await writeProject(outputDir, source);
    const server = await vite.createServer({ ...viteConfig(outputDir), ...config, server: { host: "127.0.0.1", port: 0 } });
    await server.listen();
    await checksTheExample(page, server.httpServer?.address());
    await server.close();
  });
}

test("the package works as its README says with esbuild, for Node", async ({}, { outputDir }) => {
  await writeProject(outputDir, BUNDLED);
  await writeFile(join(outputDir, "print.js"), 'import { violations } from "./violations.js"; console.log(String(await violations()));');
  const outfile = join(outputDir, "out.mjs");
  const entryPoints = [join(outputDir, "print.js")];
  await esbuild.build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", external: ["flytewarden"] });
  expect(execFileSync(process.execPath, [outfile], { encoding: "utf8" })).toBe("10\n");
});

/**
 * @param {string} root
 * @returns {import("vite").InlineConfig}
 */
function viteConfig(root) {
  return { root, configFile: false, logLevel: "error", cacheDir: join(root, "cache") };
}

/**
 * @param {string} root
 * @param {string} source
 */
async function writeProject(root, source) {
  await mkdir(join(root, "node_modules"), { recursive: true });
  await cp(PACKAGE, join(root, "node_modules", "flytewarden"), { recursive: true });
  for (const [name, text] of Object.entries({ ...FILES, "violations.js": source })) await writeFile(join(root, name), text);
}

/**
 * @param {import("@playwright/test").Page} page
 * @param {ReturnType<import("node:net").Server["address"]> | undefined} address
 */
async function checksTheExample(page, address) {
  if (!address || typeof address === "string") throw new Error(`no port: ${address}`);
  await page.goto(`http://127.0.0.1:${address.port}/`);
  await expect(page).toHaveTitle("10 on the page, 10 in the worker");
}
