// Prepares Twilio's own OpenAPI for Prism: keeps the paths we call with the components they need, and says that lists are
// repeated form keys, which is how Twilio takes them and Prism does not assume.
//
// node scripts/twilio-spec.mjs IN.json OUT.json
import fs from "node:fs";

const KEPT = [/\/Messages\.json$/, /\/Calls\.json$/, /\/Calls\/\{Sid\}\.json$/, /\/Calls\/\{CallSid\}\/Streams\.json$/];
const FORM = "application/x-www-form-urlencoded";

const [input, output] = process.argv.slice(2);
const spec = JSON.parse(fs.readFileSync(input, "utf8"));
spec.paths = Object.fromEntries(Object.entries(spec.paths).filter(([path]) => KEPT.some((kept) => kept.test(path))));

// Components that nothing refers to any more make Prism start slowly.
const used = new Set();
const visit = (node) => {
  if (node === null || typeof node !== "object") return;
  const prefix = "#/components/schemas/";
  if (typeof node.$ref === "string" && node.$ref.startsWith(prefix)) {
    const name = node.$ref.slice(prefix.length);
    if (!used.has(name)) {
      used.add(name);
      visit(spec.components.schemas[name]);
    }
  }
  Object.values(node).forEach(visit);
};
visit(spec.paths);
const schemas = Object.entries(spec.components.schemas).filter(([name]) => used.has(name));
spec.components.schemas = Object.fromEntries(schemas);

for (const path of Object.values(spec.paths)) {
  for (const operation of Object.values(path)) {
    const form = operation?.requestBody?.content?.[FORM];
    if (!form) continue;
    form.encoding ??= {};
    for (const [name, schema] of Object.entries(form.schema?.properties ?? {})) {
      if (schema.type === "array") form.encoding[name] = { style: "form", explode: true };
    }
  }
}
fs.writeFileSync(output, JSON.stringify(spec));
