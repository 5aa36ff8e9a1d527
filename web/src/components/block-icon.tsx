import {
  Bell, CalendarPlus, CircleStop, Clock, Code, CreditCard, GitBranch, GitMerge, Hourglass, ListChecks, Mail, MessageSquare, Phone, Play, Repeat, Search,
  Shuffle, Sheet, Hash, Split, Star, Tag, UserCheck, UserPen, Webhook, Workflow, Zap,
} from "lucide-react";

const ICONS: Record<string, typeof Bell> = {
  trigger: Zap,
  send_sms: MessageSquare,
  send_email: Mail,
  place_call: Phone,
  slack_message: Hash,
  create_task: ListChecks,
  alert: Bell,
  update_lead: UserPen,
  score_lead: Star,
  assign_lead: UserCheck,
  find_leads: Search,
  webhook: Webhook,
  zapier: Zap,
  calendar_event: CalendarPlus,
  sheet_row: Sheet,
  stripe_credit: CreditCard,
  stripe_coupon: Tag,
  run_workflow: Workflow,
  script: Code,
  delay: Clock,
  wait_for: Hourglass,
  condition: GitBranch,
  switch: Shuffle,
  split: Split,
  for_each: Repeat,
  merge: GitMerge,
  stop: CircleStop,
};

export function BlockIcon({ type, size = 16 }: { type: string; size?: number }) {
  const Icon = ICONS[type] ?? Play;
  return <Icon size={size} aria-hidden />;
}
