//! Several nodes on one CQL server and one Redis, each a process of its own.
//!
//! The CQL server's address comes in `PATCHCORD_TEST_CQL` (`scripts/test` starts one), unless a test has one of its own. Each cluster has
//! a keyspace of its own.

use std::time::Duration;

use serde_json::json;
use tokio::{net::TcpListener, time::Instant};

use super::{
    api::http,
    eventually::eventually_within,
    line::{Line, Target},
    redis::Server as Redis,
    server::{Options, Server},
    sink::Sink,
};

/// A silent node counts as dead after so many seconds: the default.
pub const LEASE_TTL_S: u64 = 6;
/// For whatever must happen in the end: a loaded machine is not a failure.
pub const END_WITHIN: Duration = Duration::from_secs(180);
/// Shards there are.
const SHARDS: f64 = 256.0;
const MASTER_KEY: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// How the nodes reach the database, Redis and each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    Direct,
    /// Through lines that can be cut.
    Lines,
}

/// A cluster. Dropped, its processes are killed.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub sink: Sink,
    pub redis: Redis,
    setup: Setup,
}

/// How a cluster is put together.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `host:port` of the CQL server.
    pub cql: String,
    pub keyspace: String,
    pub ways: Ways,
    /// Settings beyond the usual ones.
    pub settings: Vec<(&'static str, String)>,
}

/// One node.
pub struct Node {
    pub server: Server,
    lines: Option<Lines>,
}

struct Lines {
    cql: Line,
    redis: Line,
    /// The others' way to it.
    door: Line,
}

impl Setup {
    /// On the CQL server that all tests share.
    ///
    /// # Panics
    /// When `PATCHCORD_TEST_CQL` does not name one.
    #[must_use]
    pub fn shared(keyspace: &str) -> Self {
        let cql = std::env::var("PATCHCORD_TEST_CQL")
            .expect("PATCHCORD_TEST_CQL names a CQL server, 127.0.0.1:9042: `scripts/cql-server start`");
        Self::on(&cql, keyspace)
    }

    /// On a CQL server of the test's own.
    #[must_use]
    pub fn on(cql: &str, keyspace: &str) -> Self {
        Self {
            cql: cql.to_owned(),
            keyspace: format!("{keyspace}_{:x}", std::process::id()),
            ways: Ways::Direct,
            settings: Vec::new(),
        }
    }

    /// The same, with lines that can be cut.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        self.ways = Ways::Lines;
        self
    }

    /// The same, with one more setting.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }
}

impl Cluster {
    /// Starts this many nodes and waits until they share everything evenly.
    pub async fn start(setup: Setup, nodes: usize) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            sink: Sink::start().await,
            redis: Redis::start().await,
            setup,
        };
        for _ in 0..nodes {
            cluster.join().await;
        }
        cluster.until_spread(&(0..nodes).collect::<Vec<_>>()).await;
        cluster
    }

    /// Starts one more node.
    pub async fn join(&mut self) {
        let node = Node::start(&self.setup, &self.redis).await;
        self.nodes.push(node);
    }

    /// Waits until these nodes hold all shards, evenly; returns how long that took.
    pub async fn until_spread(&self, nodes: &[usize]) -> Duration {
        let began = Instant::now();
        eventually_within(END_WITHIN, "the shards are spread", || async {
            let mut held = Vec::new();
            for node in nodes {
                held.push(self.nodes[*node].metric("patchcord_shards_held").await?);
            }
            let least = (SHARDS / f64::from(u32::try_from(nodes.len()).expect("few nodes"))).floor();
            let is_even = held.iter().all(|count| *count >= least);
            (is_even && held.iter().sum::<f64>() >= SHARDS).then_some(())
        })
        .await;
        began.elapsed()
    }

    /// A workflow that an event starts: a webhook, two seconds, another webhook. Both go to the sink with the event's number.
    pub async fn two_webhooks(&self) {
        self.workflow(&[
            self.webhook("first"),
            delay(&json!({"for": "2s"})),
            self.webhook("second"),
        ])
        .await;
    }

    /// A workflow that an event starts: it waits until the moment that the event names, then a webhook.
    pub async fn wake_up_call(&self) {
        let pause = delay(&json!({"until": "{{ trigger.data.due }}"}));
        self.workflow(&[pause, self.webhook("woken")]).await;
    }

    async fn workflow(&self, nodes: &[serde_json::Value]) {
        let ids: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
        let from = std::iter::once("trigger").chain(ids.iter().copied());
        let edges: Vec<_> = from
            .zip(&ids)
            .map(|(from, to)| json!({"from": from, "to": to}))
            .collect();
        let definition = json!({
            "name": "On a quote", "enabled": true, "trigger": {"type": "quote.sent"}, "nodes": nodes, "edges": edges,
        });
        self.nodes[0].server.post("/api/workflows", &definition).await;
    }

    fn webhook(&self, id: &str) -> serde_json::Value {
        let body = json!({"n": "{{ trigger.data.n }}"});
        json!({"id": id, "type": "webhook", "params": {"url": self.sink.at(&format!("/{id}")), "body": body}})
    }

    /// Cuts a node off from the database, Redis and the other nodes, in both directions. Clients still reach it.
    pub fn cut_off(&self, node: usize) {
        let pid = self.nodes[node].server.process_id();
        for (at, other) in self.nodes.iter().enumerate() {
            let lines = other.lines();
            if at == node {
                lines.cql.cut();
                lines.redis.cut();
                lines.door.cut();
            } else {
                lines.door.cut_for(pid);
            }
        }
    }

    /// Ends all cuts.
    pub fn mend(&self) {
        for node in &self.nodes {
            let lines = node.lines();
            lines.cql.mend();
            lines.redis.mend();
            lines.door.mend();
        }
    }
}

fn delay(params: &serde_json::Value) -> serde_json::Value {
    json!({"id": "pause", "type": "delay", "params": params})
}

impl Node {
    async fn start(setup: &Setup, redis: &Redis) -> Self {
        let cql_port: u16 = setup
            .cql
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("the CQL server's address ends with a port");
        let lines = match setup.ways {
            Ways::Direct => None,
            Ways::Lines => {
                let listen = free_port().await;
                let lines = Lines {
                    cql: Line::to(Target::Port(cql_port)).await,
                    redis: Line::to(Target::Socket(redis.socket())).await,
                    door: Line::to(Target::Port(listen)).await,
                };
                Some((listen, lines))
            }
        };
        let (cql, redis_url) = match &lines {
            None => (setup.cql.clone(), redis.url()),
            Some((_, lines)) => (
                lines.cql.address().to_string(),
                format!("redis://{}", lines.redis.address()),
            ),
        };
        let mut options = Options::serve()
            .with(
                "PATCHCORD_STORE__URL",
                &format!("scylla://{cql}/{}?replication=1", setup.keyspace),
            )
            .with("PATCHCORD_REDIS__URL", &redis_url)
            .with("PATCHCORD_SECURITY__MASTER_KEY", MASTER_KEY)
            .with("PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS", "127.0.0.1")
            .with("PATCHCORD_CLUSTER__LEASE_TTL_S", &LEASE_TTL_S.to_string())
            .with("PATCHCORD_ASR__MODEL", "none");
        if let Some((listen, lines)) = &lines {
            options = options
                .with("PATCHCORD_CLUSTER__LISTEN", &format!("127.0.0.1:{listen}"))
                .with(
                    "PATCHCORD_CLUSTER__ADVERTISE",
                    &format!("http://{}", lines.door.address()),
                );
        }
        for (key, value) in &setup.settings {
            options = options.with(key, value);
        }
        Self {
            server: Server::start(options).await,
            lines: lines.map(|(_, lines)| lines),
        }
    }

    fn lines(&self) -> &Lines {
        self.lines
            .as_ref()
            .expect("the cluster was set up with lines that can be cut")
    }

    /// Transitions of runs that the node sent while it was cut off: sent, refused by the database, applied.
    #[must_use]
    pub fn late_writes(&self) -> (usize, usize, usize) {
        self.lines().cql.late_writes()
    }

    /// One number of `/metrics`; `None` while the node does not answer or does not have it.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = http()
            .get(self.server.at("/metrics"))
            .timeout(Duration::from_secs(5))
            .send()
            .await
            .ok()?;
        let text = answer.text().await.ok()?;
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

/// A port that was free a moment ago: whoever advertises an address must know it before it listens.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the system has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
