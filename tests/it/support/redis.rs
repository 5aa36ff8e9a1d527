//! A real redis-server for tests: its own process, its own socket, killed and started again at will.
//!
//! Included by the library's own tests too (`bus/redis/test_server`), so it knows nothing of either side.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    time::Instant,
};

/// How long a start may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The server. Dropped, its process is killed.
pub struct Server {
    folder: tempfile::TempDir,
    process: Child,
}

impl Server {
    /// Starts an empty server and waits until it takes connections.
    ///
    /// # Panics
    /// When there is no redis-server on this machine: `make setup-test` installs it.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = spawn(&folder.path().join("redis.sock"));
        let server = Self { folder, process };
        server.until_it_listens().await;
        server
    }

    /// What `redis.url` is set to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Kills the process; what it held is gone.
    pub async fn kill(&mut self) {
        self.process
            .kill()
            .await
            .expect("a process of ours can be killed");
    }

    /// Forgets everything, connections stay.
    pub async fn flush(&self) {
        let mut line = UnixStream::connect(self.socket())
            .await
            .expect("redis-server listens");
        line.write_all(b"FLUSHALL\r\n").await.expect("it takes a command");
        let mut answer = [0; 5];
        line.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// Starts it again on the same address, empty.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.socket());
        self.until_it_listens().await;
    }

    /// The socket it listens on.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    async fn until_it_listens(&self) {
        let began = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while UnixStream::connect(self.socket()).await.is_err() {
            assert!(began.elapsed() < START_MAX, "redis-server does not listen");
            looks.tick().await;
        }
    }
}

fn spawn(socket: &Path) -> Child {
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
