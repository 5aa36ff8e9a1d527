//! Workflows drawn at random, for the properties of the core.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::story::START;
use crate::domain::ids::WorkflowId;

/// Attempts of nodes whose retry is drawn.
pub(super) const ATTEMPTS: u32 = 3;

/// Draws a workflow without cycles: node 0 hangs on the trigger, each other one on a port of an earlier one; some have a
/// second way in.
pub(super) fn definitions() -> impl Strategy<Value = Value> {
    let node = (
        0_u8..31,
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        prop::option::weighted(0.3, (any::<u8>(), any::<u8>())),
    );
    prop::collection::vec(node, 1..9).prop_map(|drawn| {
        let mut nodes: Vec<Value> = Vec::new();
        let mut edges = vec![json!({"from": "trigger", "to": "n0"})];
        for (at, (kind, parent, port, params, second)) in drawn.into_iter().enumerate() {
            if at > 0 {
                let mut edge = |parent: u8, port: u8| {
                    let parent = usize::from(parent) % at;
                    let ports = ports_of(nodes[parent]["type"].as_str().expect("a type"));
                    let Some(port) = ports.get(usize::from(port) % ports.len().max(1)) else {
                        return;
                    };
                    let edge = json!({"from": format!("n{parent}"), "port": port, "to": format!("n{at}")});
                    if !edges.contains(&edge) {
                        edges.push(edge);
                    }
                };
                edge(parent, port);
                if let Some((parent, port)) = second {
                    edge(parent, port);
                }
                // What hangs on a `stop` alone would never be reached.
                if nodes[usize::from(parent) % at]["type"] == "stop" {
                    edges.push(json!({"from": "trigger", "to": format!("n{at}")}));
                }
            }
            nodes.push(node_of(at, kind, params));
        }
        json!({"name": "drawn", "trigger": {"type": "manual"}, "settings": {"exit_on": ["lead.opted_out"]},
            "nodes": nodes, "edges": edges})
    })
}

fn ports_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "condition" => &["true", "false"],
        "delay" | "merge" => &["ok"],
        "switch" => &["a", "b", "default"],
        "split" => &["a", "b"],
        "wait_for" => &["event", "timeout"],
        "for_each" => &["item", "ok"],
        "stop" => &[],
        _ => &["ok", "error"],
    }
}

fn node_of(at: usize, kind: u8, params: u8) -> Value {
    let odd = params % 2 == 1;
    let in_doubt = ["resend", "ask", "drop"][usize::from(params) % 3];
    let (kind, params) = match kind {
        0 => (
            "condition",
            json!({"if": if odd { "lead.score > 50" } else { "lead.email == 'x'" }}),
        ),
        1 => (
            "delay",
            if odd {
                json!({"for": format!("{}m", params)})
            } else {
                json!({"until": "2026-11-22T09:30:00Z"})
            },
        ),
        2 => (
            "send_sms",
            json!({"body": "Hi {{ lead.first_name }}", "in_doubt": in_doubt}),
        ),
        3 => (
            "slack_message",
            json!({"channel": "#c", "text": "{{ trigger.excerpt }}", "in_doubt": in_doubt}),
        ),
        4 => ("create_task", json!({"title": "{{ now }}", "due_in": "1h"})),
        5 | 6 => loop_of(params),
        7 => (
            "switch",
            json!({"value": "lead.stage", "cases": [{"port": "a", "equals": if odd { "new" } else { "old" }},
                {"port": "b", "if": if params.is_multiple_of(3) { "lead.email == 'x'" } else { "true" }}]}),
        ),
        8 => (
            "split",
            json!({"variants": {"a": 1, "b": params}, "by": if odd { "lead" } else { "run" }}),
        ),
        9 | 10 => wait_of(params),
        11 => ("merge", json!({"mode": "all"})),
        12 => ("merge", json!({"mode": if odd { "any" } else { "all" }})),
        13 if params.is_multiple_of(4) => (
            "stop",
            json!({"status": if odd { "failed" } else { "completed" }}),
        ),
        14 => (
            "run_workflow",
            json!({"workflow": WorkflowId::derived(START, &[b"other"]), "wait": odd, "data": {"n": "{{ now }}"}}),
        ),
        15 => (
            "alert",
            json!({"title": if odd { "{{ lead.email }}" } else { "look" }}),
        ),
        18.. => acting_of(kind, odd),
        _ => (
            "webhook",
            json!({"url": "https://example.com/hook", "body": {"n": "{{ trigger.data.tries }}"}}),
        ),
    };
    json!({"id": format!("n{at}"), "type": kind, "params": params, "on_error": if at.is_multiple_of(2) { "continue" } else { "fail" },
        "retry": {"max_attempts": ATTEMPTS, "initial_interval": "1s"}})
}

/// The other acting kinds: to the core they differ in their request only.
fn acting_of(kind: u8, odd: bool) -> (&'static str, Value) {
    match kind {
        18 => ("find_leads", json!({"stage": "new", "limit": 3})),
        19 => ("update_lead", json!({"stage": "customer"})),
        20 => ("score_lead", json!({"add": 5})),
        21 => ("assign_lead", json!({"rule": "round_robin"})),
        22 => (
            "send_email",
            json!({"to": if odd { "ann@example.com" } else { "{{ lead.email }}" }, "subject": "Hi", "body": "{{ lead.name }}"}),
        ),
        23 => (
            "sheet_row",
            json!({"spreadsheet": "abc", "values": ["{{ lead.name }}"]}),
        ),
        24 => (
            "stripe_credit",
            json!({"amount": 5000, "currency": "usd", "customer": "ann@example.com"}),
        ),
        25 => ("stripe_coupon", json!({"percent_off": 10})),
        26 => ("zapier", json!({"url": "https://example.com/hook"})),
        27 => (
            "calendar_event",
            json!({"title": "Call", "start": "2026-11-23T09:00:00Z"}),
        ),
        28 => ("script", json!({"code": "return {n: 1}"})),
        29 => ("place_call", json!({"say": "Hi {{ lead.name }}", "wait": odd})),
        _ => (
            "webhook",
            json!({"url": "https://example.com/hook", "method": "GET"}),
        ),
    }
}

fn loop_of(params: u8) -> (&'static str, Value) {
    let items = ["[]", "['a', 'b']", "trigger.data.leads", "lead.email"][usize::from(params) % 4];
    let throttle = if params.is_multiple_of(3) { "10s" } else { "0s" };
    (
        "for_each",
        json!({"items": items, "concurrency": params % 2 + 1, "throttle": throttle}),
    )
}

fn wait_of(params: u8) -> (&'static str, Value) {
    let look_back = ["run", "none", "1h"][usize::from(params) % 3];
    let mut node = json!({"event": ["sms.received", "signal.go"], "timeout": format!("{}m", u32::from(params) + 1),
        "look_back": look_back});
    if params.is_multiple_of(5) {
        node["filter"] = json!("event.data.n > 50");
    }
    ("wait_for", node)
}
