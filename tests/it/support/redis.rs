//! A real redis-server of a test's own, killed and started again at will.

use std::{path::PathBuf, process::Stdio};

use tokio::{
    net::UnixStream,
    process::{Child, Command},
};

use super::eventually::eventually;

/// The server. Dropped, its process is killed.
pub struct Redis {
    folder: tempfile::TempDir,
    process: Child,
}

impl Redis {
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

    /// Starts it again on the same address, empty.
    pub async fn start_again(&mut self) {
        self.process = spawn(&self.socket());
        self.until_it_listens().await;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    async fn until_it_listens(&self) {
        let socket = self.socket();
        eventually("redis-server listens", || async {
            UnixStream::connect(&socket).await.ok()
        })
        .await;
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
