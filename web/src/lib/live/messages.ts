// What the live stream says (`/ws/supervisor`). The OpenAPI document does not describe WebSocket messages; the records in them it does.

import type { Schemas } from "../api";

export type StepStatus = Schemas["StepStatus"];

export type LiveMessage = { cursor?: string; at?: string } & (
  | { type: "ready" }
  | { type: "gap"; missed?: number }
  | { type: "call.started" | "call.updated" | "call.ended"; call: Schemas["Call"] }
  | { type: "transcript.partial"; call_id: string; speaker: Schemas["Speaker"]; text: string; start_ms: number; end_ms: number }
  | ({ type: "transcript.final"; call_id: string } & Schemas["Utterance"])
  | { type: "transcript.shed"; call_id: string; speaker: Schemas["Speaker"]; start_ms: number; end_ms: number }
  | { type: "sentiment.trend"; call_id: string; trend: number; at_ms: number }
  | { type: "alert.raised"; alert: Schemas["Alert"] }
  | { type: "alert.acked"; alert_id: string; by: string }
  | { type: "run.started"; run_id: string; workflow_id: string; name: string; trigger: string; lead_id: string | null; call_id: string | null }
  | { type: "run.step"; run_id: string; node: string; kind: string; status: StepStatus; call_id: string | null }
  | { type: "run.ended"; run_id: string; status: string; error: string | null; call_id: string | null }
);
