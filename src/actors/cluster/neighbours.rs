//! The way to the node that acts for a shard.
//!
//! In: a word for a shard. Out: what its owner said. An owner that is not known, or does not answer, is looked for again for
//! [`PATIENCE`]: shards change hands within seconds. After that the caller hears that nobody acts for the shard at this moment; a
//! client is told to come back, a fact stays in the store and its owner takes it up.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    answering::Letter,
    ownership::{Owner, Ownership},
    signature::{self, ClusterSecret, Signed},
    words::{Said, Word},
};
use crate::{actors::runs::RunError, clock, domain::shard::Shard};

/// Where words are taken.
pub const PATH: &str = "/internal/words";
/// How long an owner is looked for.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// How long one try may take: what is asked waits for appends, not for effects.
const TRY_MAX: Duration = Duration::from_secs(12);
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How long a question to every node may take.
const ASK_MAX: Duration = Duration::from_secs(3);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Words without a waiting sender that may be on their way at once. One more is left to the owner's own look.
const ON_THEIR_WAY_MAX: usize = 10_000;

/// The way. Cheap to clone.
#[derive(Clone)]
pub struct Neighbours {
    ownership: Ownership,
    line: Option<Arc<Line>>,
}

struct Line {
    client: reqwest::Client,
    secret: ClusterSecret,
    on_their_way: tokio::sync::Semaphore,
}

/// Why nobody followed a word.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It was never sent, or its receiver said that it was not the one.
    #[error("no node acts for {0:?} at this moment")]
    NoOwner(Shard),
    /// It may have been followed.
    #[error("the node that acts for {0:?} did not answer")]
    NoAnswer(Shard),
}

impl From<Unheard> for RunError {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::NoOwner(shard) | Unheard::NoAnswer(shard) => Self::Unowned(shard),
        }
    }
}

/// What one try led to.
enum Tried {
    Said(Said),
    Unsent,
    Lost,
}

impl Neighbours {
    /// One box: there is nobody else.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            ownership: Ownership::sole(),
            line: None,
        }
    }

    /// Among nodes that share `secret`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(ownership: Ownership, secret: ClusterSecret) -> Result<Self, reqwest::Error> {
        crate::integrations::client::install_tls();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // One connection to each neighbour carries everything.
            .http2_prior_knowledge()
            .http2_keep_alive_interval(Duration::from_secs(5))
            .http2_keep_alive_timeout(Duration::from_secs(2))
            .timeout(TRY_MAX)
            .connect_timeout(CONNECT_MAX)
            .build()?;
        Ok(Self {
            ownership,
            line: Some(Arc::new(Line {
                client,
                secret,
                on_their_way: tokio::sync::Semaphore::new(ON_THEIR_WAY_MAX),
            })),
        })
    }

    /// Who acts for what.
    #[must_use]
    pub const fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Whether this node acts for `shard` at this moment.
    #[must_use]
    pub fn is_here(&self, shard: Shard) -> bool {
        self.ownership.owns(shard).is_some()
    }

    /// Tells the owner of `shard` and returns its answer, and `None` when this node is, or has become, the owner.
    ///
    /// # Errors
    /// [`Unheard`] after `patience`.
    pub async fn tell(&self, shard: Shard, word: &Word, patience: Duration) -> Result<Option<Said>, Unheard> {
        let Some(line) = &self.line else {
            return Ok(None);
        };
        if self.is_here(shard) {
            return Ok(None);
        }
        let until = Instant::now() + patience;
        let letter = Line::letter(word);
        let mut was_lost = false;
        loop {
            match self.ownership.owner_of(shard) {
                Owner::Here(_) => return Ok(None),
                Owner::Nobody => {}
                Owner::There(address) => match line.send(&address, &letter, until).await {
                    Tried::Said(Said::NotMine) | Tried::Unsent => {}
                    Tried::Said(said) => return Ok(Some(said)),
                    Tried::Lost => was_lost = true,
                },
            }
            if Instant::now() + PAUSE >= until {
                metrics::counter!("patchcord_words_unheard_total").increment(1);
                return Err(if was_lost {
                    Unheard::NoAnswer(shard)
                } else {
                    Unheard::NoOwner(shard)
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks every node that lives, this one among them: what each said, nothing for one that did not answer.
    pub async fn ask_everybody(&self, word: &Word) -> Vec<Option<Said>> {
        let Some(line) = &self.line else {
            return Vec::new();
        };
        let (letter, until) = (Line::letter(word), Instant::now() + ASK_MAX);
        let addresses = self.ownership.addresses();
        let asked = addresses
            .iter()
            .map(async |address| match line.send(address, &letter, until).await {
                Tried::Said(said) => Some(said),
                Tried::Unsent | Tried::Lost => None,
            });
        futures_util::future::join_all(asked).await
    }

    /// Tells the owner of `shard` without waiting. `mine` is called when this node turns out to be the owner. A word that is lost
    /// is made up for by what the owner finds in the store.
    pub fn mention(&self, shard: Shard, word: Word, mine: impl FnOnce(Word) + Send + 'static) {
        let neighbours = self.clone();
        tokio::spawn(async move {
            let Some(line) = neighbours.line.clone() else {
                return mine(word);
            };
            let Ok(_place) = line.on_their_way.try_acquire() else {
                metrics::counter!("patchcord_words_unheard_total").increment(1);
                return;
            };
            match neighbours.tell(shard, &word, PATIENCE).await {
                Ok(None) => mine(word),
                Ok(Some(Said::Refused { refusal })) => {
                    tracing::warn!(?shard, ?refusal, "a node did not follow a word");
                }
                Ok(Some(_)) => {}
                Err(unheard) => {
                    tracing::warn!(%unheard, "a word was not heard: the shard's owner finds its reason in the store");
                }
            }
        });
    }

    /// Checks that a request came from a node that shares the secret.
    ///
    /// # Errors
    /// [`signature::SignatureError`] when it did not.
    pub fn check(&self, signed: Signed<'_>, header: Option<&str>) -> Result<(), signature::SignatureError> {
        match &self.line {
            Some(line) => line.secret.check(signed, header, clock::now()),
            None => Err(signature::SignatureError::Missing),
        }
    }

    /// A shard of this node for what is made here, so that all of it stays in one process; `drawn` by chance where it owns none.
    #[must_use]
    pub fn near(&self, drawn: Shard) -> Shard {
        self.ownership.any(drawn).unwrap_or(drawn)
    }
}

impl Line {
    /// The word as it travels; every try is the same letter.
    fn letter(word: &Word) -> Vec<u8> {
        let letter = Letter {
            id: uuid::Uuid::new_v4().simple().to_string(),
            word: word.clone(),
        };
        serde_json::to_vec(&letter).expect("a word has only text keys")
    }

    async fn send(&self, address: &str, letter: &[u8], until: Instant) -> Tried {
        let signed = Signed {
            method: "POST",
            path: PATH,
            body: letter,
        };
        let signature = self.secret.sign(signed, clock::now());
        let request = self
            .client
            .post(format!("{address}{PATH}"))
            .header(signature::HEADER, signature)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .timeout(
                TRY_MAX
                    .min(until.saturating_duration_since(Instant::now()))
                    .max(PAUSE),
            )
            .body(letter.to_vec());
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() || error.is_builder() => {
                tracing::debug!(%error, address, "a node cannot be reached");
                return Tried::Unsent;
            }
            Err(error) => {
                tracing::debug!(%error, address, "a node did not answer");
                return Tried::Lost;
            }
        };
        let status = response.status();
        if !status.is_success() {
            tracing::warn!(%status, address, "a node did not take a word");
            return Tried::Unsent;
        }
        let mut answer = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if answer.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                    answer.extend_from_slice(&chunk)
                }
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => return Tried::Lost,
            }
        }
        serde_json::from_slice(&answer).map_or(Tried::Lost, Tried::Said)
    }
}
