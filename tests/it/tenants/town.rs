//! Two accounts on one server: one has one of everything, the other had, and each has a key for every role.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::operations::{NOTHING, Operation, ROLES, body_of, filled, workflow};
use crate::support::{
    api::{Answer, ask, http},
    eventually::eventually,
    server::{Options, Server},
    twilio,
};

/// Stands in everything that account A writes down, and nowhere else.
const MARK: &str = "zebrafish";
/// A server with two accounts and a key for each role in each.
pub struct Town {
    pub server: Server,
    /// By role: account A's keys, then B's.
    pub housemates: Vec<String>,
    pub strangers: Vec<String>,
    /// What A has, by kind.
    pub things: BTreeMap<&'static str, String>,
    /// What B had, by kind.
    gone: BTreeMap<&'static str, String>,
}

impl Town {
    pub async fn ask(&self, token: &str, method: &Method, path: &str, body: Option<Value>) -> Answer {
        ask(&self.server, method.clone(), path, token, body).await
    }

    pub async fn build() -> Self {
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
            .report_no_answer(&twilio::call_sid(1), "+14155550101")
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
    pub fn tries(&self, kind: &str) -> Vec<String> {
        let foreign = self.things[kind].clone();
        let prefix = foreign.split('_').next().expect("an id has a prefix");
        let mut tries = vec![format!("{prefix}_{NOTHING}")];
        tries.extend(self.gone.get(kind).cloned());
        tries.push(foreign);
        tries
    }

    /// Panics when an answer to a stranger holds anything of account A; `asked` is what the stranger said.
    pub fn no_leak(&self, what: &str, answer: &Answer, asked: &str) {
        let said = answer.body.to_string();
        assert!(!said.contains(MARK), "{what} leaks: {said}");
        for id in self.things.values().filter(|id| *id != asked) {
            assert!(!said.contains(id.as_str()), "{what} leaks {id}: {said}");
        }
    }

    /// Asks for one thing by several ids; every answer must refuse, and all the same way. Returns how many were asked.
    pub async fn refused_alike(
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
    let sent = http()
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

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected a text, found {value}"))
        .to_owned()
}
