//! Asking the provider whether a call still lives, when nothing was heard of it for too long, and to be heard again when it does.

use async_trait::async_trait;

use crate::domain::{audio::Speaker, call::CallStatus, ids::CallSid};

/// What the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeAnswer {
    Live,
    Ended {
        status: CallStatus,
        duration_s: Option<u32>,
    },
    /// It knows nothing of such a call, or cannot be asked.
    Gone,
}

/// Whoever can be asked about a call.
#[async_trait]
pub trait CallProbe: Send + Sync {
    /// Asks about one call. An answer always comes: a provider that does not answer counts as [`ProbeAnswer::Live`], so that
    /// its outage closes no record.
    async fn ask(&self, sid: &CallSid) -> ProbeAnswer;
    /// Has a live call streamed to us once more; `inbound` is who is heard on the inbound track.
    ///
    /// # Errors
    /// [`NotStreamed`] when the provider did not agree. It may have started the stream all the same.
    async fn stream_again(&self, sid: &CallSid, inbound: Speaker) -> Result<(), NotStreamed>;
}

/// Why a call is not streamed again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotStreamed(pub String);

/// For a server without a provider: nobody knows of the call any more.
#[derive(Debug, Clone, Copy)]
pub struct NoProvider;

#[async_trait]
impl CallProbe for NoProvider {
    async fn ask(&self, _sid: &CallSid) -> ProbeAnswer {
        ProbeAnswer::Gone
    }

    async fn stream_again(&self, _sid: &CallSid, _inbound: Speaker) -> Result<(), NotStreamed> {
        Err(NotStreamed("there is no provider".to_owned()))
    }
}
