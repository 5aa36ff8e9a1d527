// Prepares a vendor's own OpenAPI for Prism as a judge of what we send: keeps the paths we call with the components they need,
// refuses fields of JSON that a request's description does not name, asks for the fields of forms that we always send (Prism
// overlooks unknown ones, so that a slip in a name shows only as a field that is missing), and says that lists in forms are
// repeated keys, which is how Twilio takes them and Prism does not assume.
//
// node scripts/judge-spec.mjs IN.json OUT.json
import fs from "node:fs";

const KEPT = [
  /\/Accounts\/\{Sid\}\.json$/,
  /\/Messages\.json$/,
  /\/Calls\.json$/,
  /\/Calls\/\{Sid\}\.json$/,
  /\/Calls\/\{CallSid\}\/Streams\.json$/,
  /\/Accounts\/\{AccountSid\}\/IncomingPhoneNumbers\.json$/,
  /\/Conferences\/\{ConferenceSid\}\/Participants\.json$/,
  /\/Conferences\/\{ConferenceSid\}\/Participants\/\{CallSid\}\.json$/,
  /^\/v3\/mail\/send$/,
];
const FORM = "application/x-www-form-urlencoded";
const ALWAYS_SENT = {
  "/Messages.json": ["To", "From", "Body", "StatusCallback", "ValidityPeriod"],
  "/Participants.json": ["To", "From", "Label", "Timeout", "StatusCallback", "StatusCallbackEvent", "Muted", "Beep", "EarlyMedia", "EndConferenceOnExit"],
  "/Participants/{CallSid}.json": ["Muted"],
  "/Calls.json": ["To", "From", "Url", "StatusCallback", "StatusCallbackEvent", "Timeout"],
};

// Where a form has two uses, one or the other.
const ONE_OF = { "/Calls/{Sid}.json": [["Status"], ["Url", "Method"]] };

const [input, output] = process.argv.slice(2);
const spec = JSON.parse(fs.readFileSync(input, "utf8"));
spec.paths = Object.fromEntries(Object.entries(spec.paths).filter(([path]) => KEPT.some((kept) => kept.test(path))));

const referred = ($ref) => $ref.slice(2).split("/").reduce((node, name) => node[name], spec);

// Components that nothing refers to any more make Prism start slowly.
const used = new Set();
const visit = (node) => {
  if (node === null || typeof node !== "object") return;
  if (typeof node.$ref === "string" && !used.has(node.$ref)) {
    used.add(node.$ref);
    visit(referred(node.$ref));
  }
  Object.values(node).forEach(visit);
};
visit(spec.paths);
for (const [kind, components] of Object.entries(spec.components)) {
  if (kind === "securitySchemes") continue;
  const kept = Object.entries(components).filter(([name]) => used.has(`#/components/${kind}/${name}`));
  spec.components[kind] = Object.fromEntries(kept);
}

// Where a description names an object's fields, one that it does not name is a slip of ours.
const closed = new Set();
const close = (node) => {
  if (node === null || typeof node !== "object" || closed.has(node)) return;
  closed.add(node);
  if (typeof node.$ref === "string") return close(referred(node.$ref));
  if (Object.keys(node.properties ?? {}).length > 0) node.additionalProperties ??= false;
  Object.values(node).forEach(close);
};

for (const [address, path] of Object.entries(spec.paths)) {
  const listed = (table) => Object.entries(table).find(([end]) => address.endsWith(end))?.[1] ?? [];
  const [sent, uses] = [listed(ALWAYS_SENT), listed(ONE_OF)];
  for (const operation of Object.values(path)) {
    if (!operation?.requestBody) continue;
    close(operation.requestBody);
    const form = operation.requestBody.content?.[FORM];
    if (!form) continue;
    const unknown = [...sent, ...uses.flat()].filter((name) => !(name in form.schema.properties));
    if (unknown.length > 0) throw new Error(`${address} does not know ${unknown}`);
    form.schema.required = [...new Set([...(form.schema.required ?? []), ...sent])];
    if (uses.length > 0) form.schema.anyOf = uses.map((required) => ({ required }));
    form.encoding ??= {};
    for (const [name, schema] of Object.entries(form.schema?.properties ?? {})) {
      if (schema.type === "array") form.encoding[name] = { style: "form", explode: true };
    }
  }
}
fs.writeFileSync(output, JSON.stringify(spec));
