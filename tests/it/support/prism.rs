//! Prism, which serves a vendor's own description of its API and refuses whatever that does not describe.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::eventually::eventually;

/// What `scripts/prism` ends with when there is no Prism or no description.
const NOT_INSTALLED: i32 = 3;

/// A running Prism; stopped with the value.
pub struct Prism {
    process: Child,
    base: String,
}

impl Prism {
    /// Starts Prism on a description, Twilio's when none is named, and waits until it answers. `None`, with the reason printed,
    /// where it or the description is not there.
    ///
    /// # Panics
    /// When it ends for another reason.
    pub async fn start(description: Option<&Path>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/prism");
        let process = Command::new(script)
            .arg(port.to_string())
            .args(description)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the script is in the repository");
        let mut prism = Self {
            process,
            base: format!("http://127.0.0.1:{port}"),
        };
        let is_up = eventually("Prism answers or gives up", || {
            let ended = prism.process.try_wait().expect("it is our child");
            async move {
                match ended {
                    Some(status) => {
                        assert_eq!(status.code(), Some(NOT_INSTALLED), "Prism ended at once");
                        Some(false)
                    }
                    None => tokio::net::TcpStream::connect(("127.0.0.1", port))
                        .await
                        .ok()
                        .map(|_| true),
                }
            }
        })
        .await;
        if !is_up {
            let description = description.map_or("Twilio's description".into(), Path::to_string_lossy);
            println!(
                "skipped: Prism or {description} is not there; run scripts/setup-test where npm can be reached"
            );
        }
        is_up.then_some(prism)
    }

    /// Where it answers, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }
}

impl Drop for Prism {
    fn drop(&mut self) {
        // TERM, not KILL: the script stops its own child and removes its files.
        let stopped = Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .and_then(|_| self.process.wait());
        assert!(stopped.is_ok(), "Prism could not be stopped");
    }
}
