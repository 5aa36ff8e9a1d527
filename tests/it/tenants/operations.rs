//! Every operation of the description, what it reaches and what it takes.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

/// A well-formed id of nothing, after its prefix.
pub const NOTHING: &str = "01h455vb4pex5vsknk084sn02q";

/// The roles, lowest first.
pub const ROLES: [&str; 4] = ["agent", "supervisor", "admin", "owner"];

/// Places in [`ROLES`].
const AGENT: usize = 0;
const SUPERVISOR: usize = 1;
const ADMIN: usize = 2;
const OWNER: usize = 3;

/// What an operation reaches, and the lowest role that may.
#[derive(Clone, Copy)]
pub enum Reach {
    /// Nobody's data: signing in, health, built-in words.
    Nothing,
    /// A door with its own check: a signature, a token in the address.
    Door,
    /// The caller's own account, as a whole.
    Own(usize),
    /// One thing with an id: its kind.
    One(&'static str, usize),
}

use Reach::{Door, Nothing, One, Own};

const OPERATIONS: &[(&str, Reach)] = &[
    ("ackAlert", One("alert", SUPERVISOR)),
    ("backtestWorkflow", One("workflow", AGENT)),
    ("beginSecondFactor", Own(AGENT)),
    ("cancelRun", One("run", SUPERVISOR)),
    ("changeMonitor", One("call", SUPERVISOR)),
    ("changePassword", Own(AGENT)),
    ("checkSetup", Own(ADMIN)),
    ("cloneWorkflow", One("workflow", ADMIN)),
    ("createAgent", Own(SUPERVISOR)),
    ("createAppointment", Own(AGENT)),
    ("confirmSecondFactor", Own(AGENT)),
    ("createKey", Own(ADMIN)),
    ("createLead", Own(SUPERVISOR)),
    ("createLiveTicket", Own(AGENT)),
    ("createNumber", Own(ADMIN)),
    ("createPayment", Own(SUPERVISOR)),
    ("createQuote", Own(SUPERVISOR)),
    ("createTask", Own(AGENT)),
    ("createUser", Own(ADMIN)),
    ("createWebhook", Own(ADMIN)),
    ("createWorkflow", Own(ADMIN)),
    ("createWorkflowAt", Own(ADMIN)),
    ("decideRun", One("run", SUPERVISOR)),
    ("deleteAgent", One("agent", ADMIN)),
    ("deleteAppointment", One("appointment", ADMIN)),
    ("deleteKey", One("key", ADMIN)),
    ("deleteLead", One("lead", ADMIN)),
    ("deleteNumber", One("number", ADMIN)),
    ("deletePayment", One("payment", ADMIN)),
    ("deleteQuote", One("quote", ADMIN)),
    ("deleteUser", One("user", ADMIN)),
    ("deleteWebhook", One("webhook", ADMIN)),
    ("deleteWebhookSource", One("webhook", ADMIN)),
    ("deleteWorkflow", One("workflow", ADMIN)),
    ("disableSecondFactor", Own(AGENT)),
    ("dryRunWorkflow", One("workflow", AGENT)),
    ("endSession", One("session", AGENT)),
    ("eraseLead", One("lead", ADMIN)),
    ("executeWorkflow", One("workflow", SUPERVISOR)),
    ("exportLead", One("lead", ADMIN)),
    ("exportWorkflow", One("workflow", AGENT)),
    ("getAccount", Own(AGENT)),
    ("getAgent", One("agent", AGENT)),
    ("getAlert", One("alert", AGENT)),
    ("getAppointment", One("appointment", AGENT)),
    ("getCall", One("call", AGENT)),
    ("getErasure", One("lead", ADMIN)),
    ("getHistory", One("workflow", AGENT)),
    ("getImport", One("import", AGENT)),
    ("getLead", One("lead", AGENT)),
    ("getMe", Own(AGENT)),
    ("getMessage", One("message", AGENT)),
    ("getNumber", One("number", AGENT)),
    ("getPayment", One("payment", AGENT)),
    ("getQuote", One("quote", AGENT)),
    ("getRun", One("run", AGENT)),
    ("getSigningSecret", Own(ADMIN)),
    ("getTask", One("task", AGENT)),
    ("getTimeline", One("lead", AGENT)),
    ("getTranscript", One("call", AGENT)),
    ("getVersion", One("workflow", AGENT)),
    ("getWebhookSource", One("webhook", ADMIN)),
    ("getWorkflow", One("workflow", AGENT)),
    ("hangUpCall", One("call", SUPERVISOR)),
    ("healthz", Nothing),
    ("importLeads", Own(SUPERVISOR)),
    ("importWorkflow", Own(ADMIN)),
    ("leaveCall", One("call", SUPERVISOR)),
    ("listAgents", Own(AGENT)),
    ("listAlerts", Own(AGENT)),
    ("listAppointments", Own(AGENT)),
    ("listAudit", Own(ADMIN)),
    ("listAutomations", Own(AGENT)),
    ("listBlocks", Own(AGENT)),
    ("listCalls", Own(AGENT)),
    ("listDuplicates", Own(AGENT)),
    ("listDeliveries", One("webhook", ADMIN)),
    ("listErrorCatalogue", Own(AGENT)),
    ("listImports", Own(AGENT)),
    ("listKeys", Own(ADMIN)),
    ("listLeads", Own(AGENT)),
    ("listMessages", Own(AGENT)),
    ("listNumbers", Own(AGENT)),
    ("listPayments", Own(AGENT)),
    ("listQuotes", Own(AGENT)),
    ("listRuns", Own(AGENT)),
    ("listSessions", Own(AGENT)),
    ("listTasks", Own(AGENT)),
    ("listTemplates", Own(AGENT)),
    ("listUsers", Own(ADMIN)),
    ("listVersions", One("workflow", AGENT)),
    ("listWebhooks", Own(ADMIN)),
    ("listWorkflows", Own(AGENT)),
    ("livez", Nothing),
    ("login", Nothing),
    ("logout", Own(AGENT)),
    ("mergeLead", One("lead", ADMIN)),
    ("metrics", Nothing),
    ("migrateRuns", One("workflow", ADMIN)),
    ("monitorCall", One("call", SUPERVISOR)),
    ("noteAlert", One("alert", SUPERVISOR)),
    ("placeCall", Own(SUPERVISOR)),
    ("postToWebhook", Door),
    ("previewDraftMigration", One("workflow", AGENT)),
    ("previewMigration", One("workflow", AGENT)),
    ("publishWorkflow", One("workflow", ADMIN)),
    ("readyz", Nothing),
    ("redeemTicket", Nothing),
    ("refresh", Nothing),
    ("register", Nothing),
    ("removeSecondFactor", One("user", OWNER)),
    ("replayDelivery", One("webhook", ADMIN)),
    ("reportEvent", Own(SUPERVISOR)),
    ("restoreVersion", One("workflow", ADMIN)),
    ("retryRun", One("run", SUPERVISOR)),
    ("rotateSigningSecret", Own(ADMIN)),
    ("rotateWebhook", One("webhook", ADMIN)),
    ("setWebhookSource", One("webhook", ADMIN)),
    ("signalRun", One("run", SUPERVISOR)),
    ("simulateCall", Own(SUPERVISOR)),
    ("switchAutomation", Own(ADMIN)),
    ("testWebhook", One("webhook", ADMIN)),
    ("twilioAmd", Door),
    ("twilioDial", Door),
    ("twilioLeg", Door),
    ("twilioMedia", Door),
    ("twilioMissed", Door),
    ("twilioPlaced", Door),
    ("twilioRecording", Door),
    ("twilioRoom", Door),
    ("twilioSms", Door),
    ("twilioSmsStatus", Door),
    ("twilioStatus", Door),
    ("twilioStream", Door),
    ("twilioVoice", Door),
    ("updateAccount", Own(ADMIN)),
    ("updateAgent", One("agent", SUPERVISOR)),
    ("updateAppointment", One("appointment", AGENT)),
    ("updateLead", One("lead", SUPERVISOR)),
    ("updateNumber", One("number", ADMIN)),
    ("updatePayment", One("payment", SUPERVISOR)),
    ("updateQuote", One("quote", SUPERVISOR)),
    ("updateTask", One("task", AGENT)),
    ("updateUser", One("user", ADMIN)),
    ("updateWorkflow", One("workflow", ADMIN)),
    ("useTemplate", Own(ADMIN)),
    ("validateWorkflow", One("workflow", AGENT)),
    ("verifyAudit", Own(ADMIN)),
    ("watch", Door),
];

/// An operation as it is described.
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub reach: Reach,
}

/// Every operation of the description with its class.
pub fn operations() -> Vec<Operation> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let document = std::fs::read_to_string(path).expect("the description is in the repository");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let classes: BTreeMap<&str, Reach> = OPERATIONS.iter().copied().collect();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let reach = *classes.get(id.as_str()).unwrap_or_else(|| {
                panic!("{id} is new: say in tests/it/tenants/operations.rs what it reaches")
            });
            if let Nothing | Own(_) = reach {
                assert!(!path.contains("id}"), "{id} names one thing: give its kind");
            }
            let method = method.to_uppercase().parse().expect("a method");
            let path = path.clone();
            found.push(Operation {
                id,
                method,
                path,
                reach,
            });
        }
    }
    let stale = OPERATIONS
        .iter()
        .find(|(id, _)| !found.iter().any(|operation| operation.id == *id));
    assert!(
        stale.is_none(),
        "{:?} is no operation any more",
        stale.map(|(id, _)| id)
    );
    found
}

/// A body that the operation takes, so that nothing but the asker and the id is left to refuse.
pub fn body_of(id: &str) -> Option<Value> {
    Some(match id {
        "mergeLead" => json!({"duplicate": format!("lead_{NOTHING}")}),
        "decideRun" => json!({"effect_key": "k", "choice": "skip"}),
        "signalRun" => json!({"name": "go"}),
        "migrateRuns" => json!({"groups": []}),
        "updateLead" | "updateUser" | "updateWorkflow" | "createLead" => json!({"name": "Taken"}),
        "updateTask" | "createTask" => json!({"title": "Taken"}),
        "updateAccount" => json!({"require_consent": true}),
        "createAppointment" => json!({"title": "Taken", "starts_at": "2027-01-01T10:00:00Z"}),
        "createQuote" => json!({"title": "Taken", "amount": 1, "currency": "usd"}),
        "createPayment" => json!({"amount": 1, "currency": "usd"}),
        "updateAppointment" | "updateQuote" => json!({"title": "Taken"}),
        "createAgent" => json!({"name": "Taken", "phone": "+14155550155"}),
        "createNumber" => json!({"phone": "+14155550166", "routing": {"type": "record"}}),
        "changeMonitor" => json!({"mode": "listen"}),
        "monitorCall" => json!({"phone": "+14155550177"}),
        "setWebhookSource" => json!({"source": "form"}),
        "testWebhook" => json!({"body": {"a": "b"}}),
        "noteAlert" => json!({"note": "Taken"}),
        "updateAgent" | "updateNumber" => json!({"name": "Taken"}),
        "updatePayment" => json!({"reference": "Taken"}),
        "createKey" | "createWebhook" => json!({"name": "Taken"}),
        "createUser" => json!({"email": "taken@example.com", "password": "taken taken", "role": "agent"}),
        "createWorkflow" | "createWorkflowAt" | "importWorkflow" | "validateWorkflow" => workflow("Taken"),
        "placeCall" => json!({"to": "+14155550101", "say": "Taken"}),
        "reportEvent" => json!({"type": "quote.sent"}),
        "switchAutomation" => json!({"enabled": false}),
        "retryRun"
        | "backtestWorkflow"
        | "cloneWorkflow"
        | "dryRunWorkflow"
        | "executeWorkflow"
        | "previewDraftMigration"
        | "previewMigration"
        | "useTemplate" => json!({}),
        _ => return None,
    })
}

pub fn workflow(name: &str) -> Value {
    json!({"name": name, "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "alert", "params": {"title": name}}],
        "edges": [{"from": "trigger", "to": "tell"}]})
}

/// The path with every id filled in.
pub fn filled(path: &str, id: &str) -> String {
    path.replace("{id}", id)
        .replace("{version}", "1")
        .replace("{delivery_id}", &format!("dlv_{NOTHING}"))
        .replace("{slug}", "missed-call-text-back")
}
