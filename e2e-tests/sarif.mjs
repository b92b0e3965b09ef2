// Validates the SARIF on standard input against the schema of 2.1.0, which uses draft 4.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Ajv = require("ajv");
const validator = new Ajv({ schemaId: "auto", meta: false, unknownFormats: "ignore", logger: false });
validator.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
const valid = validator.compile(require("@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"));
if (!valid(JSON.parse(readFileSync(0, "utf8")))) {
  console.error(valid.errors);
  process.exit(1);
}
