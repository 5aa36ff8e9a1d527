//! A real server process with its own data directory and a port from the system.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use patchcord::domain::{
    sealing::{DataKeys, SealingKey, WrappedKeys},
    secret::Secret,
    signing::SigningKeys,
};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::oneshot,
};

use super::twilio;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_patchcord");
/// Names another build of it for the servers: a release build, where what is measured is how fast it is.
const OTHER_PROGRAM: &str = "PATCHCORD_PROGRAM";
/// From start to ready, on a machine that does other things too.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// Lines of the log that are printed when a test fails.
const LINES_TOLD: usize = 60;
/// Starts the line with which a server says that it is ready, when asked to by `PATCHCORD_READY_LINE=1`.
const READY_MARK: &str = "PATCHCORD_READY ";

/// Whether the providers are real or the built-in outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `patchcord dev`: every provider is the outbox.
    Dev,
    /// `patchcord serve`: effects go out, to addresses that the options name.
    Serve,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct Options {
    pub mode: Mode,
    /// Extra settings, as environment variables.
    pub settings: Vec<(String, String)>,
}

impl Options {
    #[must_use]
    pub fn dev() -> Self {
        Self {
            mode: Mode::Dev,
            settings: Vec::new(),
        }
    }

    #[must_use]
    pub fn serve() -> Self {
        Self {
            mode: Mode::Serve,
            settings: Vec::new(),
        }
    }

    /// Adds one setting, `PATCHCORD_SECTION__KEY`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// What a server says when it is ready.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    pub url: String,
    pub email: String,
    pub password: String,
    pub access_token: String,
}

/// A running server. Dropping it kills the process and removes its data.
pub struct Server {
    child: Child,
    ready: Ready,
    options: Options,
    data: TempDir,
    log: Log,
    _told: ToldOnFailure,
}

/// Prints the end of the log when the test that has the server fails.
struct ToldOnFailure(Log);

impl Drop for ToldOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.0.text();
            let lines: Vec<&str> = text.lines().collect();
            let end = &lines[lines.len().saturating_sub(LINES_TOLD)..];
            eprintln!("the server's log ends with:\n{}", end.join("\n"));
        }
    }
}

/// Everything the process printed, for the message of a test that fails.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Server {
    /// Starts a server on an empty store and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready; the message carries what it printed.
    pub async fn start(options: Options) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory can be made");
        let log = Log::default();
        let (child, ready) = spawn(&options, data.path(), &log).await;
        Self {
            child,
            ready,
            options,
            data,
            _told: ToldOnFailure(log.clone()),
            log,
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.ready.url
    }

    /// An address on this server.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.ready.url)
    }

    /// The same host and port for a WebSocket.
    #[must_use]
    pub fn ws_at(&self, path: &str) -> String {
        self.at(path).replacen("http", "ws", 1)
    }

    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Everything printed so far, over restarts.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The process, while it runs.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id().expect("the process runs")
    }

    /// Ends the process at whatever instruction it is, as `kill -9` does.
    pub async fn kill9(&mut self) {
        self.child.kill().await.expect("a process of ours can be killed");
    }

    /// Sends the process a signal by name: `STOP` freezes it, `CONT` wakes it.
    ///
    /// # Panics
    /// When the process has ended.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the process lives");
        let sent = Command::new("kill")
            .args([format!("-{name}"), pid.to_string()])
            .status()
            .await;
        assert!(sent.expect("kill is there").success());
    }

    /// Asks the process to stop, as a supervisor does, and waits until it has.
    pub async fn stop(mut self) -> std::process::ExitStatus {
        self.signal("TERM").await;
        self.child
            .wait()
            .await
            .expect("a process of ours can be waited for")
    }

    /// A setting that the process was started with.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let given = self.options.settings.iter().find(|(name, _)| name == key);
        given.map(|(_, value)| value.as_str())
    }

    /// What this server signs tokens with.
    ///
    /// # Panics
    /// As [`Self::data_keys`].
    #[must_use]
    pub fn signing_keys(&self) -> SigningKeys {
        self.data_keys().1.signing
    }

    /// The keys of this server's store, opened, and the master key that opened them.
    ///
    /// # Panics
    /// When the store has no keys, or the master key does not open them.
    #[must_use]
    pub fn data_keys(&self) -> (SealingKey, DataKeys) {
        let store = database(self.data_dir());
        let master = self.setting("PATCHCORD_SECURITY__MASTER_KEY").map_or_else(
            || std::fs::read_to_string(store.with_extension("key")).expect("the key's file"),
            ToOwned::to_owned,
        );
        let masters: Vec<SealingKey> = master
            .lines()
            .map(|line| SealingKey::from_hex(&Secret::new(line.to_owned())).expect("a key"))
            .collect();
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = rusqlite::Connection::open_with_flags(store, flags).expect("the store");
        let body: String = store
            .query_row("SELECT body FROM keyring", [], |row| row.get(0))
            .expect("the store's keys");
        let keys: WrappedKeys = serde_json::from_str(&body).expect("wrapped keys");
        let opened = keys.open(&masters).expect("they open");
        let master = masters.into_iter().find(|master| master.name() == keys.master);
        (master.expect("one opened them"), opened)
    }

    /// Puts other keys in their place.
    ///
    /// # Panics
    /// When the store cannot be written.
    pub fn put_wrapped_keys(&self, keys: &WrappedKeys) {
        let store = rusqlite::Connection::open(database(self.data_dir())).expect("the store");
        store.busy_timeout(READY_DEADLINE).expect("a time");
        let body = serde_json::to_string(keys).expect("text keys");
        let changed = store.execute("UPDATE keyring SET body = ?1", [body]);
        assert_eq!(changed.expect("written"), 1);
    }

    /// Changes a setting for the starts to come.
    pub fn set(&mut self, key: &str, value: &str) {
        self.options.settings.retain(|(name, _)| name != key);
        self.options.settings.push((key.to_owned(), value.to_owned()));
    }

    /// Kills the process and starts it again on the same data. The port is another one.
    pub async fn restart(&mut self) {
        self.kill9().await;
        self.start_again().await;
    }

    /// Starts a killed server again on the same data.
    pub async fn start_again(&mut self) {
        let (child, ready) = spawn(&self.options, self.data.path(), &self.log).await;
        self.child = child;
        self.ready = ready;
    }
}

async fn spawn(options: &Options, data: &Path, log: &Log) -> (Child, Ready) {
    let program = std::env::var_os(OTHER_PROGRAM).unwrap_or_else(|| PROGRAM.into());
    let mut command = Command::new(program);
    command
        .arg(match options.mode {
            Mode::Dev => "dev",
            Mode::Serve => "serve",
        })
        .env("PATCHCORD_READY_LINE", "1")
        .env("PATCHCORD_SERVER__BIND", "127.0.0.1:0")
        .env(
            "PATCHCORD_STORE__URL",
            format!("sqlite:{}", database(data).display()),
        )
        .env("PATCHCORD_ASR__MODELS_DIR", models_dir())
        .env("PATCHCORD_TWILIO__ACCOUNT_SID", twilio::ACCOUNT_SID)
        .env("PATCHCORD_TWILIO__AUTH_TOKEN", twilio::AUTH_TOKEN)
        // Tests run at any hour and write to one lead as often as they like; those about the gate set their own.
        .env("PATCHCORD_GATE__QUIET_HOURS", "")
        .env("PATCHCORD_GATE__SMS_PER_DAY", "0")
        .env("PATCHCORD_GATE__SMS_PER_WEEK", "0")
        .env("PATCHCORD_ADMIN__EMAIL", "owner@example.com")
        .env("PATCHCORD_ADMIN__PASSWORD", "correct horse battery staple")
        .envs(options.settings.iter().map(|(key, value)| (key, value)))
        .current_dir(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("the program starts");
    let (sender, receiver) = oneshot::channel();
    let stdout = child.stdout.take().expect("stdout is piped");
    let stderr = child.stderr.take().expect("stderr is piped");
    tokio::spawn(keep_lines(stdout, log.clone(), Some(sender)));
    tokio::spawn(keep_lines(stderr, log.clone(), None));
    let ready = tokio::time::timeout(READY_DEADLINE, receiver).await;
    let Ok(Ok(ready)) = ready else {
        panic!("the server did not get ready; it printed:\n{}", log.text());
    };
    (child, ready)
}

/// Where speech models are: `PATCHCORD_ASR__MODELS_DIR`, or where `patchcord model fetch` puts them in this repository.
#[must_use]
pub fn models_dir() -> PathBuf {
    std::env::var_os("PATCHCORD_ASR__MODELS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("data/models"),
        PathBuf::from,
    )
}

/// Where a server keeps its store below its data directory.
#[must_use]
pub fn database(data: &Path) -> PathBuf {
    data.join("patchcord.db")
}

/// Reads `output` to its end, so that the process never blocks on a full pipe.
async fn keep_lines(output: impl AsyncRead + Unpin, log: Log, mut ready: Option<oneshot::Sender<Ready>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(json) = line.strip_prefix(READY_MARK)
            && let Some(sender) = ready.take()
        {
            let parsed = serde_json::from_str(json).expect("the ready line is JSON as agreed");
            // The receiver is gone only when the test has failed already.
            drop(sender.send(parsed));
        }
        log.push(line);
    }
}
