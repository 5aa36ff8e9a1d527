// The part of JSON Schema that the server's node kinds use, as a form reads it.

export interface FieldSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  enum?: string[];
  default?: unknown;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  items?: FieldSchema;
  properties?: Record<string, FieldSchema>;
  additionalProperties?: FieldSchema | boolean;
  anyOf?: FieldSchema[];
  required?: string[];
}

export type Control = "choice" | "switch" | "number" | "code" | "expression" | "long" | "text" | "lines" | "json";

/** Texts that people write several lines of. */
const LONG = new Set(["body", "html", "notes", "say", "machine_text", "text", "details", "description"]);

export function controlOf(name: string, schema: FieldSchema): Control {
  if (schema.enum) return "choice";
  if (schema.format === "javascript") return "code";
  if (schema.format === "expression" || schema.format === "condition") return "expression";
  if (schema.type === "boolean") return "switch";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "array" && schema.items?.type === "string") return "lines";
  if (schema.type === "string" || (schema.anyOf ?? []).some((one) => one.type === "string")) return LONG.has(name) && schema.type === "string" ? "long" : "text";
  return "json";
}

export function fieldsOf(schema: unknown): [string, FieldSchema][] {
  return Object.entries((schema as FieldSchema).properties ?? {});
}
