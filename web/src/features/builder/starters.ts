// What a fresh step says, so that it does something sensible before anybody fills in a form; and how the palette is grouped.

const STARTERS: Record<string, Record<string, unknown>> = {
  send_sms: { body: "Hi {{ lead.first_name | default('there') }}, " },
  send_email: { subject: "A note from {{ account.name }}", body: "Hi {{ lead.first_name | default('there') }},\n\n" },
  place_call: { say: "Hello, this is {{ account.name }}." },
  slack_message: { channel: "#general", text: "{{ lead.name | default('A lead') }}" },
  create_task: { title: "Follow up with {{ lead.name | default('the lead') }}", due_in: "1d" },
  alert: { title: "{{ lead.name | default('A lead') }} needs you" },
  update_lead: { stage: "qualified" },
  score_lead: { add: 10 },
  assign_lead: { rule: "round_robin" },
  find_leads: { stage: "new" },
  webhook: { url: "https://" },
  zapier: { url: "https://hooks.zapier.com/" },
  delay: { for: "1h" },
  wait_for: { event: "sms.received", timeout: "1d" },
  condition: { if: "lead.score > 50" },
  switch: { value: "lead.stage", cases: [{ port: "customer", equals: "customer" }] },
  split: { variants: { a: 50, b: 50 } },
  for_each: { items: "steps.find_leads.output.leads" },
  script: { code: "return { score: lead.score };" },
  stop: { status: "completed" },
};

export function starterOf(type: string): Record<string, unknown> {
  return structuredClone(STARTERS[type] ?? {});
}

/** The five most people need; the others stand behind "More". */
export const FIRST_BLOCKS = ["send_sms", "send_email", "create_task", "delay", "condition"];
