// The beginning of a file of leads: its columns, some of their values, and the field that each is taken for. The server reads the
// file itself; what is chosen here goes along as its mapping.

/** As much of a file is read to show its columns. */
export const HEAD_BYTES = 64 << 10;
/** Rows that are shown of it. */
const SAMPLES = 3;
const DELIMITERS = [",", ";", "\t", "|"];

/** Fields of a lead, with the words that name their columns in other programs. */
export const LEAD_FIELDS: { field: string; label: string; words: string[] }[] = [
  { field: "name", label: "Name", words: ["full_name", "fullname", "contact", "contact_name", "customer", "customer_name"] },
  { field: "first_name", label: "First name", words: ["firstname", "given_name", "first"] },
  { field: "last_name", label: "Last name", words: ["lastname", "surname", "family_name", "last"] },
  { field: "phone", label: "Phone", words: ["phone_number", "telephone", "tel", "mobile", "mobile_phone", "cell", "cell_phone"] },
  { field: "email", label: "E-mail", words: ["e_mail", "email_address", "e_mail_address", "mail"] },
  { field: "score", label: "Score", words: ["lead_score"] },
  { field: "stage", label: "Stage", words: ["lead_stage", "status", "lead_status"] },
  { field: "timezone", label: "Time zone", words: ["time_zone", "tz"] },
  { field: "opted_out", label: "Opted out", words: ["unsubscribed", "do_not_contact", "do_not_call", "dnc"] },
];

export interface Column {
  header: string;
  /** Values of the first rows, without empty ones. */
  samples: string[];
}

/** The columns of a file by its beginning. */
export function columnsOf(head: string): Column[] {
  const [header = [], ...rows] = records(head.replace(/^\uFEFF/, ""), SAMPLES + 1);
  return header.map((name, at) => ({ header: name.trim(), samples: rows.map((row) => row[at]?.trim() ?? "").filter((value) => value !== "") }));
}

/** The field that each column fills unless somebody says otherwise. The second column for one field is kept as a field of its own. */
export function guessed(columns: Column[]): Record<string, string> {
  const mapping: Record<string, string> = {};
  for (const { header } of columns) {
    const field = fieldOf(header);
    mapping[header] = Object.values(mapping).includes(field) ? ownField(header) : field;
  }
  return mapping;
}

function fieldOf(header: string): string {
  const plain = plainName(header);
  const known = LEAD_FIELDS.find(({ field, words }) => field === plain || words.includes(plain));
  return known?.field ?? ownField(header);
}

/** A field of the account's own, named as the column is; nothing for a column without a name. */
export function ownField(header: string): string {
  const plain = plainName(header);
  return plain === "" ? "" : `fields.${plain}`;
}

function plainName(header: string): string {
  const words = header.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.join("_").slice(0, 64);
}

/** The first records of a text, at most `most`. */
function records(text: string, most: number): string[][] {
  const delimiter = delimiterOf(text);
  const found: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  const endRow = () => {
    const next = [...row, cell];
    if (next.some((one) => one !== "")) found.push(next);
    row = [];
    cell = "";
  };
  for (let at = 0; at < text.length && found.length < most; at++) {
    const char = text.charAt(at);
    if (isQuoted && char === '"' && text[at + 1] === '"') {
      cell += char;
      at++;
    } else if (char === '"') {
      isQuoted = !isQuoted;
    } else if (!isQuoted && char === delimiter) {
      row.push(cell);
      cell = "";
    } else if (!isQuoted && (char === "\n" || char === "\r")) {
      endRow();
    } else {
      cell += char;
    }
  }
  if (found.length < most) endRow();
  return found;
}

/** The delimiter that the first line has most of. */
function delimiterOf(text: string): string {
  const counts = DELIMITERS.map(() => 0);
  let isQuoted = false;
  for (const char of text) {
    if (char === '"') isQuoted = !isQuoted;
    if (isQuoted) continue;
    if (char === "\n") break;
    const at = DELIMITERS.indexOf(char);
    if (at >= 0) counts[at] = (counts[at] ?? 0) + 1;
  }
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ",";
}
