//! Word to every node that a session or a key opens nothing any more.
//!
//! In: a name, as the doors write it. Out: the same on every node at once, this one too. Word can be lost with Redis, so nobody may rely
//! on it alone: it only makes sooner what a short life of what is remembered makes sure.

use futures_util::StreamExt;

use super::{Redis, RedisFault, key};

/// Between two tries to listen.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// What a node is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// This name.
    One(String),
    /// Word may have been missed: anything.
    Anything,
}

/// Tells every node.
///
/// # Errors
/// [`RedisFault`] when nobody may have heard.
pub async fn tell(redis: &Redis, name: &str) -> Result<(), RedisFault> {
    let mut command = redis::cmd("PUBLISH");
    command.arg(channel()).arg(name);
    redis.ask::<u64>(&command).await.map(drop)
}

/// Calls `hear` for every word, until the process ends.
pub fn listen(redis: Redis, hear: impl Fn(Revoked) + Send + 'static) {
    tokio::spawn(async move {
        loop {
            if let Ok(mut listening) = redis.listen(&channel()).await {
                // Whatever was told while nobody listened here.
                hear(Revoked::Anything);
                let mut messages = listening.on_message();
                while let Some(message) = messages.next().await {
                    hear(message.get_payload().map_or(Revoked::Anything, Revoked::One));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}

fn channel() -> String {
    key(&["revoked"])
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::bus::redis::test_server::TestRedis;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_word_reaches_every_node_and_a_break_forgets_everything() {
        let mut server = TestRedis::start().await;
        let (sender, mut heard) = mpsc::unbounded_channel();
        for node in [1, 2] {
            let sender = sender.clone();
            listen(server.redis(), move |word| drop(sender.send((node, word))));
        }
        for _ in 0..2 {
            assert_eq!(heard.recv().await.expect("a listener").1, Revoked::Anything);
        }
        let teller = server.redis();
        tell(&teller, "ses_1").await.expect("redis answers");
        let mut told = [heard.recv().await, heard.recv().await].map(|word| word.expect("a word"));
        told.sort_by_key(|(node, _)| *node);
        let one = || Revoked::One("ses_1".to_owned());
        assert_eq!(told, [(1, one()), (2, one())]);
        server.kill().await;
        assert!(tell(&teller, "ses_2").await.is_err(), "nobody may have heard");
        server.start_again().await;
        for _ in 0..2 {
            assert_eq!(heard.recv().await.expect("a listener").1, Revoked::Anything);
        }
    }
}
