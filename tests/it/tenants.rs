//! Nobody else's: every operation of the description, asked for what belongs to another account and by those who may not.
//!
//! The list of operations is `docs/openapi.json`; each must be classified here, so a new one fails this test until it is. What is
//! looked for: an answer that is not 404 or 403, two answers that differ although the asker may see neither thing, and any
//! text of the other account in any answer.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    api::{Answer, ask},
    eventually::eventually,
    server::{Options, Server},
};

/// Stands in everything that account A writes down, and nowhere else.
const MARK: &str = "zebrafish";
/// A well-formed id of nothing, after its prefix.
const NOTHING: &str = "01h455vb4pex5vsknk084sn02q";

/// The roles, lowest first.
const ROLES: [&str; 4] = ["agent", "supervisor", "admin", "owner"];

/// Places in [`ROLES`].
const AGENT: usize = 0;
const SUPERVISOR: usize = 1;
const ADMIN: usize = 2;
const OWNER: usize = 3;

/// What an operation reaches, and the lowest role that may.
#[derive(Clone, Copy)]
enum Reach {
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
struct Operation {
    id: String,
    method: Method,
    path: String,
    reach: Reach,
}

/// Every operation of the description with its class.
fn operations() -> Vec<Operation> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let document = std::fs::read_to_string(path).expect("the description is in the repository");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let classes: BTreeMap<&str, Reach> = OPERATIONS.iter().copied().collect();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            let reach = *classes
                .get(id.as_str())
                .unwrap_or_else(|| panic!("{id} is new: say in tests/it/tenants.rs what it reaches"));
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
fn body_of(id: &str) -> Option<Value> {
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

fn workflow(name: &str) -> Value {
    json!({"name": name, "enabled": true, "trigger": {"type": "manual"},
        "nodes": [{"id": "tell", "type": "alert", "params": {"title": name}}],
        "edges": [{"from": "trigger", "to": "tell"}]})
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}

/// The path with every id filled in.
fn filled(path: &str, id: &str) -> String {
    path.replace("{id}", id)
        .replace("{version}", "1")
        .replace("{delivery_id}", &format!("dlv_{NOTHING}"))
        .replace("{slug}", "missed-call-text-back")
}

/// A server with two accounts and a key for each role in each.
struct Town {
    server: Server,
    /// By role: account A's keys, then B's.
    housemates: Vec<String>,
    strangers: Vec<String>,
    /// What A has, by kind.
    things: BTreeMap<&'static str, String>,
    /// What B had, by kind.
    gone: BTreeMap<&'static str, String>,
}

impl Town {
    async fn ask(&self, token: &str, method: &Method, path: &str, body: Option<Value>) -> Answer {
        ask(&self.server, method.clone(), path, token, body).await
    }

    async fn build() -> Self {
        let options = Options::serve().with("PATCHCORD_SERVER__OPEN_REGISTRATION", "true");
        // Nobody answers there: no test asks Twilio itself.
        let options = options.with("PATCHCORD_TWILIO__API_BASE", "http://127.0.0.1:1");
        let server = Server::start(options).await;
        let other = json!({"email": "b@example.com", "password": "b password", "account_name": "Other"});
        let other = ask(&server, Method::POST, "/api/auth/register", "", Some(other)).await;
        let other = text(&other.body["access_token"]);
        let mut town = Self {
            housemates: keys(&server, &server.ready().access_token).await,
            strangers: keys(&server, &other).await,
            things: BTreeMap::new(),
            gone: BTreeMap::new(),
            server,
        };
        town.fill().await;
        town.come_and_go(&other).await;
        town
    }

    /// Gives account A one of everything.
    async fn fill(&mut self) {
        let server = &self.server;
        let named = json!({"name": MARK});
        let lead = server
            .post("/api/leads", &json!({"name": MARK, "phone": "+14155550101"}))
            .await;
        let task = server.post("/api/tasks", &json!({"title": MARK})).await;
        let webhook = server.post("/api/webhooks", &named).await;
        let records = records(server, &lead).await;
        let key = server.post("/api/keys", &named).await;
        let user =
            json!({"email": format!("{MARK}@example.com"), "password": "long enough", "role": "agent"});
        let user = server.post("/api/users", &user).await;
        let workflow = text(&server.post("/api/workflows", &workflow(MARK)).await["id"]);
        server
            .post(&format!("/api/workflows/{workflow}/publish"), &json!({}))
            .await;
        let run = server
            .post(&format!("/api/workflows/{workflow}/execute"), &json!({}))
            .await;
        server
            .report_no_answer(&crate::support::twilio::call_sid(1), "+14155550101")
            .await;
        let message = [
            ("MessageSid", "SM01"),
            ("From", "+14155550101"),
            ("To", "+15550001111"),
            ("Body", MARK),
        ];
        assert!(
            server
                .webhook("/twilio/sms", &message)
                .await
                .status()
                .is_success()
        );
        let first = async |path: &str| {
            eventually(path, async || {
                let items = server.items(path).await;
                items.first().map(|item| text(&item["id"]))
            })
            .await
        };
        let things = [
            ("alert", first("/api/alerts").await),
            ("call", first("/api/calls").await),
            ("message", first("/api/messages").await),
            ("session", first("/api/sessions").await),
            ("key", text(&key["key"]["id"])),
            ("lead", text(&lead["id"])),
            ("run", text(&run["run_id"])),
            ("task", text(&task["id"])),
            ("user", text(&user["id"])),
            ("webhook", text(&webhook["id"])),
            ("workflow", workflow),
        ];
        self.things = BTreeMap::from(things);
        self.things.extend(records);
    }

    /// Lets account B make and remove what can be removed.
    async fn come_and_go(&mut self, owner: &str) {
        for (kind, path, body) in [
            ("lead", "/api/leads", json!({"name": "Gone"})),
            ("key", "/api/keys", json!({"name": "Gone"})),
            ("webhook", "/api/webhooks", json!({"name": "Gone"})),
            (
                "agent",
                "/api/agents",
                json!({"name": "Gone", "phone": "+14155550170"}),
            ),
            (
                "number",
                "/api/numbers",
                json!({"phone": "+14155550180", "routing": {"type": "record"}}),
            ),
            (
                "appointment",
                "/api/appointments",
                json!({"title": "Gone", "starts_at": "2027-01-01T10:00:00Z"}),
            ),
            (
                "quote",
                "/api/quotes",
                json!({"title": "Gone", "amount": 1, "currency": "usd"}),
            ),
            (
                "payment",
                "/api/payments",
                json!({"amount": 1, "currency": "usd"}),
            ),
            ("workflow", "/api/workflows", workflow("Gone")),
            (
                "user",
                "/api/users",
                json!({"email": "gone@example.com", "password": "long enough", "role": "agent"}),
            ),
        ] {
            let made = self.ask(owner, &Method::POST, path, Some(body)).await.body;
            let id = made["id"].as_str().or(made["key"]["id"].as_str());
            let id = id.unwrap_or_else(|| panic!("{path}: {made}")).to_owned();
            let removed = self
                .ask(owner, &Method::DELETE, &format!("{path}/{id}"), None)
                .await;
            assert_eq!(removed.status, StatusCode::NO_CONTENT, "{path}: {}", removed.body);
            self.gone.insert(kind, id);
        }
    }

    /// The ids that a stranger tries on a kind of thing.
    fn tries(&self, kind: &str) -> Vec<String> {
        let foreign = self.things[kind].clone();
        let prefix = foreign.split('_').next().expect("an id has a prefix");
        let mut tries = vec![format!("{prefix}_{NOTHING}")];
        tries.extend(self.gone.get(kind).cloned());
        tries.push(foreign);
        tries
    }

    /// Panics when an answer to a stranger holds anything of account A; `asked` is what the stranger said.
    fn no_leak(&self, what: &str, answer: &Answer, asked: &str) {
        let said = answer.body.to_string();
        assert!(!said.contains(MARK), "{what} leaks: {said}");
        for id in self.things.values().filter(|id| *id != asked) {
            assert!(!said.contains(id.as_str()), "{what} leaks {id}: {said}");
        }
    }

    /// Asks for one thing by several ids; every answer must refuse, and all the same way. Returns how many were asked.
    async fn refused_alike(
        &self,
        token: &str,
        operation: &Operation,
        ids: &[String],
        expected: StatusCode,
    ) -> usize {
        let mut seen: Option<Value> = None;
        for id in ids {
            let path = filled(&operation.path, id);
            let what = format!("{} {path}", operation.method);
            let answer = self
                .ask(token, &operation.method, &path, body_of(&operation.id))
                .await;
            assert_eq!(answer.status, expected, "{what}: {}", answer.body);
            self.no_leak(&what, &answer, id);
            let masked = answer.body.to_string().replace(id.as_str(), "ID");
            let masked: Value = serde_json::from_str(&masked).expect("still JSON");
            let first = seen.get_or_insert_with(|| masked.clone());
            assert_eq!(*first, masked, "{what} tells one id from another");
        }
        ids.len()
    }
}

/// One of everything that is kept as a record, by kind.
async fn records(server: &Server, lead: &Value) -> Vec<(&'static str, String)> {
    let agent = json!({"name": MARK, "phone": "+14155550150"});
    let agent = server.post("/api/agents", &agent).await;
    let number = json!({"name": MARK, "phone": "+14155550160", "routing": {"type": "record"}});
    let number = server.post("/api/numbers", &number).await;
    let import = import(server).await;
    let meeting = json!({"title": MARK, "starts_at": "2027-01-01T10:00:00Z", "lead_id": lead["id"]});
    let appointment = server.post("/api/appointments", &meeting).await;
    let offer = json!({"title": MARK, "amount": 1, "currency": "usd", "lead_id": lead["id"]});
    let quote = server.post("/api/quotes", &offer).await;
    let money = json!({"reference": MARK, "amount": 1, "currency": "usd", "quote_id": quote["id"]});
    let payment = server.post("/api/payments", &money).await;
    vec![
        ("agent", text(&agent["id"])),
        ("appointment", text(&appointment["id"])),
        ("import", import),
        ("number", text(&number["id"])),
        ("payment", text(&payment["id"])),
        ("quote", text(&quote["id"])),
    ]
}

/// A file of leads that was sent.
async fn import(server: &Server) -> String {
    let sent = crate::support::api::http()
        .post(server.at("/api/leads/import"))
        .bearer_auth(&server.ready().access_token)
        .header("content-type", "text/csv")
        .body(format!("name\n{MARK}\n"))
        .send()
        .await
        .expect("the server answers");
    let accepted: Value = sent.json().await.expect("JSON");
    text(&accepted["import_id"])
}

/// A key for each role, made by an owner.
async fn keys(server: &Server, owner: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for role in ROLES {
        let body = json!({"name": role, "role": role});
        let made = ask(server, Method::POST, "/api/keys", owner, Some(body)).await;
        keys.push(text(&made.body["secret"]));
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_reaches_another_account_or_above_a_role() {
    let town = Town::build().await;
    let (mut probes, mut covered) = (0, 0);
    for operation in operations() {
        covered += 1;
        match operation.reach {
            One(kind, least) => {
                for (role, token) in town.strangers.iter().enumerate() {
                    let expected = if role < least {
                        StatusCode::FORBIDDEN
                    } else {
                        StatusCode::NOT_FOUND
                    };
                    probes += town
                        .refused_alike(token, &operation, &town.tries(kind), expected)
                        .await;
                }
                for token in &town.housemates[..least] {
                    probes += town
                        .refused_alike(token, &operation, &town.tries(kind), StatusCode::FORBIDDEN)
                        .await;
                }
            }
            Own(least) => {
                for token in &town.housemates[..least] {
                    let path = filled(&operation.path, "");
                    let answer = town
                        .ask(token, &operation.method, &path, body_of(&operation.id))
                        .await;
                    assert_eq!(
                        answer.status,
                        StatusCode::FORBIDDEN,
                        "{}: {}",
                        operation.id,
                        answer.body
                    );
                    probes += 1;
                }
                if operation.method == Method::GET {
                    let owner = town.strangers.last().expect("an owner");
                    let answer = town.ask(owner, &Method::GET, &operation.path, None).await;
                    assert_eq!(answer.status, StatusCode::OK, "{}: {}", operation.id, answer.body);
                    town.no_leak(&operation.id, &answer, "");
                    probes += 1;
                }
            }
            Nothing | Door => {}
        }
    }
    probes += references(&town).await;
    for (kind, path) in [
        ("lead", "leads"),
        ("task", "tasks"),
        ("workflow", "workflows"),
        ("run", "runs"),
        ("alert", "alerts"),
        ("call", "calls"),
        ("message", "messages"),
        ("appointment", "appointments"),
        ("quote", "quotes"),
        ("payment", "payments"),
        ("agent", "agents"),
        ("number", "numbers"),
    ] {
        let path = format!("/api/{path}/{}", town.things[kind]);
        let kept = town.server.get(&path).await.to_string();
        assert!(!kept.contains("Taken"), "{path} was changed: {kept}");
    }
    println!("{covered} operations, {probes} probes, 0 leaks");
}

/// Ids that are named in a query or a body instead of the path: a foreign one is answered as one of nothing. Returns how many were
/// asked.
async fn references(town: &Town) -> usize {
    let owner = town.strangers.last().expect("an owner").clone();
    let own = town
        .ask(&owner, &Method::POST, "/api/workflows", Some(workflow("Own")))
        .await;
    let own = format!("/api/workflows/{}", text(&own.body["id"]));
    town.ask(&owner, &Method::POST, &format!("{own}/publish"), None)
        .await;
    let execute = format!("{own}/execute");
    let mut asked = 0;
    for (kind, method, path, body) in &named_elsewhere(&execute) {
        let mut seen: Option<(StatusCode, String)> = None;
        for id in town.tries(kind) {
            let path = path.replace("ID", &id);
            let body = body.as_ref().map(|body| {
                let filled = body.to_string().replace("\"ID\"", &format!("\"{id}\""));
                serde_json::from_str(&filled).expect("still JSON")
            });
            let answer = town.ask(&owner, method, &path, body).await;
            town.no_leak(&path, &answer, &id);
            let masked = (answer.status, answer.body.to_string().replace(&id, "ID"));
            let first = seen.get_or_insert_with(|| masked.clone());
            assert_eq!(*first, masked, "{method} {path} tells one id from another");
            asked += 1;
        }
    }
    asked
}

/// Requests that name a thing as `ID` in their query or body: its kind first.
fn named_elsewhere(execute: &str) -> Vec<(&'static str, Method, &str, Option<Value>)> {
    vec![
        ("workflow", Method::GET, "/api/runs?workflow_id=ID", None),
        ("lead", Method::GET, "/api/runs?lead_id=ID", None),
        ("user", Method::GET, "/api/sessions?user_id=ID", None),
        (
            "lead",
            Method::POST,
            "/api/tasks",
            Some(json!({"title": "x", "lead_id": "ID"})),
        ),
        (
            "call",
            Method::POST,
            "/api/tasks",
            Some(json!({"title": "x", "call_id": "ID"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/events",
            Some(json!({"type": "quote.sent", "subject": {"lead_id": "ID"}})),
        ),
        ("lead", Method::POST, execute, Some(json!({"lead_id": "ID"}))),
        (
            "user",
            Method::POST,
            "/api/webhooks/user/ID/pcw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            Some(json!({"trigger": "x"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/calls",
            Some(json!({"lead_id": "ID", "say": "x"})),
        ),
        ("lead", Method::GET, "/api/leads?phone=%2B14155550101", None),
        ("lead", Method::GET, "/api/appointments?lead_id=ID", None),
        (
            "user",
            Method::POST,
            "/api/agents",
            Some(json!({"name": "x", "phone": "+14155550199", "user_id": "ID"})),
        ),
        (
            "lead",
            Method::POST,
            "/api/quotes",
            Some(json!({"title": "x", "amount": 1, "currency": "usd", "lead_id": "ID"})),
        ),
        (
            "quote",
            Method::POST,
            "/api/payments",
            Some(json!({"amount": 1, "currency": "usd", "quote_id": "ID"})),
        ),
    ]
}
