//! A real redis-server for tests: its own process, its own socket, killed and started again at will.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

use super::Redis;

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// The server. Dropped, its process is killed.
pub struct TestRedis {
    folder: tempfile::TempDir,
    process: Child,
}

impl TestRedis {
    /// Starts an empty server and waits until it answers.
    ///
    /// # Panics
    /// When there is no redis-server on this machine: `make setup-test` installs it.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = spawn(&folder.path().join("redis.sock"));
        let server = Self { folder, process };
        server.until_it_answers(&server.redis()).await;
        server
    }

    /// A connection of its own, as another node has.
    pub fn redis(&self) -> Redis {
        Redis::new(&format!("unix://{}", self.socket().display())).expect("an address")
    }

    /// Kills the process; what it held is gone.
    pub async fn kill(&mut self) {
        self.process
            .kill()
            .await
            .expect("a process of ours can be killed");
    }

    /// Starts it again on the same address, empty.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.socket());
        self.until_it_answers(&self.redis()).await;
    }

    /// Forgets everything, connections stay.
    pub async fn flush(&self) {
        let () = self
            .redis()
            .ask(&redis::cmd("FLUSHALL"))
            .await
            .expect("redis answers");
    }

    /// Waits until a connection works.
    pub async fn until_it_answers(&self, redis: &Redis) {
        let began = tokio::time::Instant::now();
        while redis.ping().await.is_err() {
            assert!(began.elapsed() < START_MAX, "redis-server does not answer");
            tokio::task::yield_now().await;
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

fn spawn(socket: &std::path::Path) -> Child {
    Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server is installed: `make setup-test` does it")
}
