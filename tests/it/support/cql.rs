//! A CQL server of a test's own, which can be frozen, killed and started again. `scripts/cql-server` does the work.

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

/// The server. Dropped, it is killed and its data removed.
pub struct CqlServer {
    port: String,
    folder: tempfile::TempDir,
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/cql-server")
}

impl CqlServer {
    /// Starts an empty server and waits until it answers.
    ///
    /// # Panics
    /// When it does not: `make setup-test` installs what it needs.
    pub async fn start() -> Self {
        let output = Command::new(script())
            .arg("port")
            .output()
            .await
            .expect("bash is there");
        let port = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Self { port, folder };
        server.start_again().await;
        server
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts a killed server again on the same data and waits until it answers.
    pub async fn start_again(&self) {
        self.run("start").await;
    }

    /// Ends the process as `kill -9` does.
    pub async fn kill(&self) {
        self.run("kill").await;
    }

    /// Sends the process a signal by name: `STOP` freezes it, `CONT` wakes it.
    pub async fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("node1/pid")).expect("it runs");
        let sent = Command::new("kill")
            .args([&format!("-{name}"), pid.trim()])
            .status()
            .await;
        assert!(sent.expect("kill is there").success());
    }

    async fn run(&self, command: &str) {
        let outcome = Command::new(script())
            .arg(command)
            .env("CQL_PORT", &self.port)
            .env("CQL_DATA", self.folder.path())
            .env("CQL_TOMBSTONE_FAIL", "1000")
            .stdin(Stdio::null())
            .status()
            .await;
        assert!(
            outcome.expect("bash is there").success(),
            "scripts/cql-server {command}"
        );
    }
}

impl Drop for CqlServer {
    fn drop(&mut self) {
        let killed = std::process::Command::new(script())
            .arg("kill")
            .env("CQL_PORT", &self.port)
            .env("CQL_DATA", self.folder.path())
            .status();
        if !killed.is_ok_and(|status| status.success()) {
            eprintln!("the CQL server on port {} could not be killed", self.port);
        }
    }
}
