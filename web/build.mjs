// Builds the page into dist/page. It runs the package in dist/npm.

import { createHash } from "node:crypto";
import { access, cp, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const out = join(root, "dist", "page");
const flytewarden = join(root, "dist", "npm");
const entry = join(flytewarden, "web.js");

if (!(await access(entry).then(() => true, () => false))) {
  console.error(`The package flytewarden is not built: there is no ${entry}`);
  process.exit(1);
}

const { size } = await stat(join(flytewarden, "policies", "policies_bg.wasm"));
await rm(out, { recursive: true, force: true });
await mkdir(join(out, "examples"), { recursive: true });
const { metafile } = await build({
  entryPoints: ["main.js", "worker.js"].map((name) => join(here, "page", name)),
  outdir: out,
  alias: { flytewarden: entry },
  define: { POLICIES_BYTES: String(size) },
  bundle: true,
  splitting: true,
  chunkNames: "[name]-[hash]",
  format: "esm",
  target: "es2022",
  minify: true,
  metafile: true,
  legalComments: "none",
  banner: { js: "// The licences of what is bundled here are in licences.txt" },
  logLevel: "warning",
});
for (const name of ["style.css", "icon.svg"]) await cp(join(here, "page", name), join(out, name));
// Without a hint, the browser finds shared code only once it has read the script that imports it.
const imported = Object.values(metafile.outputs).flatMap(({ entryPoint, imports }) =>
  entryPoint ? imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => basename(path)) : []);
const hints = [...new Set(imported)].map((name) => `<link rel="modulepreload" href="${name}">\n    `).join("");
const index = await readFile(join(here, "page", "index.html"), "utf8");
await writeFile(join(out, "index.html"), index.replace(/(?=<script )/, hints));
// The package looks for its modules next to the script that it is bundled into.
for (const name of ["policies", "pki", "formats"]) await cp(join(flytewarden, name, `${name}_bg.wasm`), join(out, `${name}_bg.wasm`));
for (const name of await readdir(join(root, "examples"))) {
  if (name.endsWith(".yaml")) await cp(join(root, "examples", name), join(out, "examples", name));
}
// The first visit shows the example's report before the policies are loaded.
const { check } = await import(pathToFileURL(join(flytewarden, "node.js")).href);
const text = await readFile(join(root, "examples", "before.yaml"), "utf8");
await writeFile(join(out, "examples", "before.json"), JSON.stringify(check([{ name: "before.yaml", text }])));

// The licences of the bundled packages must be distributed with their code.
const PACKAGE = /node_modules\/((?:@[^/]+\/)?[^/]+)/;
const bundled = Object.keys(metafile.inputs).flatMap((path) => PACKAGE.exec(path)?.[1] ?? []);
const licences = [...new Set(bundled)].sort().map(async (name) => {
  const licence = await readFile(join(here, "node_modules", name, "LICENSE"), "utf8");
  return `${name}\n\n${licence.trim()}\n`;
});
await writeFile(join(out, "licences.txt"), (await Promise.all(licences)).join(`\n${"-".repeat(80)}\n\n`));

// Last, since it names all the other files and their content.
const files = (await readdir(out, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => relative(out, join(entry.parentPath, entry.name)))
  .sort();
const hash = createHash("sha256");
for (const file of files) hash.update(file).update(await readFile(join(out, file)));
await build({
  entryPoints: [join(here, "page", "service-worker.js")],
  outdir: out,
  define: { BUILD: JSON.stringify(hash.digest("hex").slice(0, 16)), FILES: JSON.stringify(["./", ...files]) },
  minify: true,
  logLevel: "warning",
});

for (const name of await readdir(out)) {
  if (!/\.(js|css|wasm|html)$/.test(name)) continue;
  const bytes = await readFile(join(out, name));
  const sizes = [bytes, gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes)].map(({ length }) => `${Math.ceil(length / 1000)}`.padStart(6));
  console.log(`${name.padEnd(20)} ${sizes.join(" KB ")} KB: as it is, by gzip, by brotli`);
}
