//! What happens to three nodes when the database is away for half a minute, or Redis is killed and emptied: live calls go on, nothing that
//! was accepted is lost.
//!
//! Long, so not part of `make test`: `scripts/bench-cluster` runs them and shows the lines they print as a table.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use patchcord::media::{mulaw, wav};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use crate::support::{
    api::http,
    cluster::{Cluster, END_WITHIN, Node, Setup},
    cql::CqlServer,
    eventually::{a_moment, eventually_within},
    load::Load,
    media_socket::{MediaSocket, token_of},
    twilio::call_sid,
};

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(30);
/// The goal: from when the database answers to when everything goes on as before.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
/// Twilio waits so long for an answer.
const TWILIO_MAX: Duration = Duration::from_secs(15);
const BOTH: &[&str] = &["/first", "/second"];
const FRAME_BYTES: usize = 160;
const SILENCE: [u8; FRAME_BYTES] = [0xff; FRAME_BYTES];
/// A caller says the first words of the demonstration and is silent for the rest of eight seconds: a machine that does other things can hear that.
const SAID_FROM: usize = 295 * FRAME_BYTES;
const SAID: usize = 215 * FRAME_BYTES;
const ROUND_FRAMES: usize = 400;

/// One line of the table.
fn tell(what: &str, measured: &str) {
    println!("| {what} | {measured} |");
}

/// How the database is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    Frozen,
    Killed,
}

/// A call whose caller says something and is silent for a while, over and over, until it is told to end.
struct Talk {
    call: String,
    began: Instant,
    is_over: Arc<AtomicBool>,
    task: JoinHandle<MediaSocket>,
}

impl Talk {
    /// Rings, opens the stream as Twilio does, and talks. Returns how long the answer took too.
    async fn begin(node: &Node, number: u32) -> (Self, Duration) {
        let (call, rang) = (call_sid(number), Instant::now());
        let address = node.server.ring(&call, "+14155550101").await;
        let answered = rang.elapsed();
        let mut socket = node.server.open_media(&address).await.expect("the pass is good");
        socket.start(&call, token_of(&address)).await;
        let is_over = Arc::<AtomicBool>::default();
        let (over, began) = (Arc::clone(&is_over), Instant::now());
        let said = recording("caller");
        let task = tokio::spawn(async move {
            let mut frames = tokio::time::interval(Duration::from_millis(20));
            let mut number = 0;
            while !over.load(Ordering::SeqCst) {
                frames.tick().await;
                let begin = number % ROUND_FRAMES * FRAME_BYTES;
                let sound = said.get(begin..begin + FRAME_BYTES).unwrap_or(&SILENCE);
                number += 1;
                let chunk = u64::try_from(number).expect("few frames");
                socket.sound("inbound", chunk, sound).await;
            }
            socket
        });
        let talk = Self {
            call,
            began,
            is_over,
            task,
        };
        (talk, answered)
    }

    /// Ends the stream as Twilio does.
    async fn end(self) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut socket = self.task.await.expect("the stream was open to the end");
        socket.stop(&self.call).await;
        assert_eq!(socket.closed().await.0, 1_000, "the stream was open to the end");
    }

    /// Milliseconds of the call so far.
    fn at_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).expect("a short call")
    }
}

/// One side of the demonstration's call, in mu-law.
fn recording(side: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("assets/demo/refund-{side}.wav"));
    let bytes = std::fs::read(path).expect("the demonstration's call is there");
    let (_, samples) = wav::parse(&bytes).expect("it is a recording of a call");
    let said = samples.into_iter().skip(SAID_FROM).take(SAID);
    said.map(mulaw::encode).collect()
}

/// What a call's record says, by the provider's id.
async fn record(node: &Node, call: &str) -> Option<Value> {
    let calls = items(node, "/api/calls").await;
    calls.into_iter().find(|record| record["sid"] == call)
}

/// The items of a list; none while the node cannot read them.
async fn items(node: &Node, path: &str) -> Vec<Value> {
    let answer = node.server.request(Method::GET, path, None).await;
    answer.body["items"].as_array().cloned().unwrap_or_default()
}

/// Words that began within a stretch of the call, as they are kept.
async fn words_between(node: &Node, call: &str, from_ms: u64, to_ms: u64) -> usize {
    let Some(record) = record(node, call).await else {
        return 0;
    };
    let id = record["id"].as_str().expect("an id").to_owned();
    let said = items(node, &format!("/api/calls/{id}/transcript")).await;
    let began = said.iter().filter_map(|utterance| utterance["start_ms"].as_u64());
    began.filter(|ms| (from_ms..to_ms).contains(ms)).count()
}

/// Reports that a call has ended; returns the status of the answer.
async fn report_end(node: &Node, call: &str) -> u16 {
    let params = [
        ("CallSid", call),
        ("From", "+14155550101"),
        ("To", "+15550001111"),
        ("Direction", "inbound"),
        ("CallStatus", "completed"),
        ("SequenceNumber", "3"),
        ("CallDuration", "60"),
    ];
    node.server
        .webhook("/twilio/status", &params)
        .await
        .status()
        .as_u16()
}

/// The status of an answer that needs no sign-in.
async fn standing(node: &Node, path: &str) -> u16 {
    let answer = http().get(node.server.at(path)).send().await;
    answer.expect("the node answers").status().as_u16()
}

impl Absence {
    async fn begin(self, server: &CqlServer) {
        match self {
            Self::Frozen => server.signal("STOP").await,
            Self::Killed => server.kill().await,
        }
    }

    async fn end(self, server: &CqlServer) {
        match self {
            Self::Frozen => server.signal("CONT").await,
            Self::Killed => server.start_again().await,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "CQL server frozen for 30 s",
            Self::Killed => "CQL server killed, started again after 30 s",
        }
    }
}

/// What was seen while the database was away.
struct Meanwhile {
    /// From and until when, on the time line of the call that was there before.
    at_ms: Range<u64>,
    /// How long the answer to a new call took.
    answered: Duration,
    /// What a status callback was told, and when.
    callback: (u16, Duration),
    /// `/readyz` and `/livez`.
    doors: (u16, u16),
}

/// How long after the database's return things were as before.
struct CaughtUp {
    words: Duration,
    shards: Duration,
    callbacks: Duration,
    new_call: Duration,
}

async fn without_the_database(absence: Absence) {
    let server = CqlServer::start().await;
    let setup = Setup::on(&server.address(), "away")
        .with("PATCHCORD_ASR__MODEL", "tiny.en")
        .with("PATCHCORD_ASR__PARTIALS", "false");
    let cluster = Cluster::start(setup, 3).await;
    cluster.two_webhooks().await;
    let load = Load::on(&cluster);
    let (before, _) = Talk::begin(&cluster.nodes[0], 1).await;
    a_moment(Duration::from_secs(8)).await;
    let (during, meanwhile) = stay_away(&cluster, &server, absence, &before).await;
    let caught_up = catch_up(&cluster, &before, &meanwhile, &during).await;
    let brought = load.end().await;
    for talk in [before, during] {
        end_of(&cluster.nodes[0], talk).await;
    }
    let (again, _) = cluster.until_all_done(BOTH, brought.accepted).await;
    tell(
        &format!("{}: events accepted, lost, repeated", absence.name()),
        &format!("{}, 0, 0", brought.accepted),
    );
    tell("– in doubt, made again under their key", &again.to_string());
    let dropped = cluster.nodes[0]
        .metric("patchcord_audio_frames_dropped_total")
        .await;
    tell(
        "– frames of live calls dropped",
        &dropped.unwrap_or(0.0).to_string(),
    );
    meanwhile.judge();
    caught_up.judge();
}

/// Takes the database away for half a minute; a call comes in meanwhile.
async fn stay_away(
    cluster: &Cluster,
    server: &CqlServer,
    absence: Absence,
    before: &Talk,
) -> (Talk, Meanwhile) {
    let (gone, from_ms) = (Instant::now(), before.at_ms());
    absence.begin(server).await;
    a_moment(Duration::from_secs(5)).await;
    let (during, answered) = Talk::begin(&cluster.nodes[0], 2).await;
    let asked = Instant::now();
    let told = report_end(&cluster.nodes[1], &call_sid(3)).await;
    let callback = (told, asked.elapsed());
    let doors = (
        standing(&cluster.nodes[0], "/readyz").await,
        standing(&cluster.nodes[0], "/livez").await,
    );
    a_moment(AWAY.saturating_sub(gone.elapsed())).await;
    let at_ms = from_ms..before.at_ms();
    absence.end(server).await;
    let meanwhile = Meanwhile {
        at_ms,
        answered,
        callback,
        doors,
    };
    (during, meanwhile)
}

/// Waits until everything is as before.
async fn catch_up(cluster: &Cluster, before: &Talk, meanwhile: &Meanwhile, during: &Talk) -> CaughtUp {
    let (back, node) = (Instant::now(), &cluster.nodes[0]);
    let (from_ms, until_ms) = (meanwhile.at_ms.start + 2_000, meanwhile.at_ms.end);
    eventually_within(END_WITHIN, "what was said meanwhile is kept", || async {
        (words_between(node, &before.call, from_ms, until_ms).await > 0).then_some(())
    })
    .await;
    let words = back.elapsed();
    cluster.until_spread(&[0, 1, 2]).await;
    let shards = back.elapsed();
    eventually_within(END_WITHIN, "callbacks are taken again", || async {
        (report_end(&cluster.nodes[1], &call_sid(3)).await < 300).then_some(())
    })
    .await;
    let callbacks = back.elapsed();
    let until_ms = during.at_ms();
    eventually_within(END_WITHIN, "a call that began meanwhile is heard", || async {
        (words_between(node, &during.call, 0, until_ms).await > 0).then_some(())
    })
    .await;
    CaughtUp {
        words,
        shards,
        callbacks,
        new_call: back.elapsed(),
    }
}

/// Ends a call as Twilio does and waits until its record says so.
async fn end_of(node: &Node, talk: Talk) {
    let call = talk.call.clone();
    talk.end().await;
    assert!(report_end(node, &call).await < 300);
    eventually_within(END_WITHIN, "the call ends", || async {
        record(node, &call)
            .await
            .filter(|record| record["status"] == "completed")
    })
    .await;
}

impl Meanwhile {
    fn judge(&self) {
        let (told, told_in) = self.callback;
        tell(
            "– a call that came in meanwhile was answered in",
            &format!("{} ms", self.answered.as_millis()),
        );
        tell(
            "– a status callback meanwhile",
            &format!("{told} in {} ms", told_in.as_millis()),
        );
        tell(
            "– `/readyz`, `/livez` meanwhile",
            &format!("{}, {}", self.doors.0, self.doors.1),
        );
        assert_eq!(
            self.doors,
            (503, 200),
            "no balancer sends people here, calls go on"
        );
        assert!(self.answered < Duration::from_secs(2), "{:?}", self.answered);
        assert!(told >= 500 && told_in < TWILIO_MAX, "{told} in {told_in:?}");
    }
}

impl CaughtUp {
    fn judge(&self) {
        let all = [self.words, self.shards, self.callbacks, self.new_call];
        tell(
            "– caught up after: words said meanwhile kept, shards held, callbacks taken, the new call heard",
            &all.map(|time| format!("{:.1} s", time.as_secs_f64())).join(", "),
        );
        assert!(all.into_iter().max() <= Some(CATCH_UP_MAX), "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute without a database and as much around it: scripts/bench-cluster"]
async fn live_calls_go_on_while_the_database_is_frozen() {
    without_the_database(Absence::Frozen).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute without a database and as much around it: scripts/bench-cluster"]
async fn live_calls_go_on_while_the_database_is_killed_and_started_again() {
    without_the_database(Absence::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "half a minute: scripts/bench-cluster"]
async fn no_promise_is_broken_while_redis_is_gone_and_after_it_came_back_empty() {
    let mut cluster = Cluster::start(Setup::shared("redis"), 3).await;
    cluster.two_webhooks().await;
    let ended = sign_in(&cluster.nodes[0]).await;
    let load = Load::on(&cluster);
    a_moment(Duration::from_secs(3)).await;
    cluster.redis.kill().await;
    let refused_after = refused_everywhere(&cluster, &ended).await;
    a_moment(Duration::from_secs(5)).await;
    cluster.redis.start_again().await;
    a_moment(Duration::from_secs(5)).await;
    cluster.redis.flush().await;
    assert_eq!(
        refused_everywhere_at_once(&cluster, &ended).await,
        3,
        "it stays refused"
    );
    a_moment(Duration::from_secs(3)).await;
    let brought = load.end().await;
    let (again, _) = cluster.until_all_done(BOTH, brought.accepted).await;
    tell(
        "Redis killed, started empty, flushed: events accepted, refused, lost, repeated",
        &format!("{}, {}, 0, 0", brought.accepted, brought.refused),
    );
    tell("– in doubt, made again under their key", &again.to_string());
    tell(
        "– a session that ended without Redis was refused on every node after",
        &format!("{} ms", refused_after.as_millis()),
    );
}

/// A session of its own.
async fn sign_in(node: &Node) -> String {
    let ready = node.server.ready();
    let who = json!({"email": ready.email, "password": ready.password});
    let signed_in = node.server.post("/api/auth/login", &who).await;
    signed_in["access_token"].as_str().expect("a token").to_owned()
}

/// Ends the session on one node; returns how long the others took it.
async fn refused_everywhere(cluster: &Cluster, token: &str) -> Duration {
    let out = http()
        .post(cluster.nodes[1].server.at("/api/auth/logout"))
        .bearer_auth(token)
        .send()
        .await
        .expect("the node answers");
    assert_eq!(out.status().as_u16(), 204);
    let ended = Instant::now();
    eventually_within(END_WITHIN, "the session is refused", || async {
        (refused_everywhere_at_once(cluster, token).await == 3).then_some(())
    })
    .await;
    ended.elapsed()
}

/// How many nodes refuse the session.
async fn refused_everywhere_at_once(cluster: &Cluster, token: &str) -> usize {
    let mut refused = 0;
    for node in &cluster.nodes {
        let request = http().get(node.server.at("/api/me")).bearer_auth(token);
        let status = request.send().await.expect("the node answers").status();
        refused += usize::from(status.as_u16() == 401);
    }
    refused
}
