//! Ending a call that is under way, at the provider that carries it.

use async_trait::async_trait;

use crate::domain::ids::CallSid;

/// What became of asking for a call's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HangUp {
    /// It ends; the provider's callback says when it has.
    Asked,
    /// It is over already, or the provider knows nothing of it.
    Over,
    /// Nobody carries calls here.
    NoProvider,
    /// It may go on. Asking again does no harm.
    Failed(String),
}

/// Whoever carries calls.
#[async_trait]
pub trait CallLine: Send + Sync {
    /// Asks for the end of a call. Always answers, within the client's time-out.
    async fn hang_up(&self, sid: &CallSid) -> HangUp;
}

/// For a server without a provider.
#[derive(Debug, Clone, Copy)]
pub struct NoLine;

#[async_trait]
impl CallLine for NoLine {
    async fn hang_up(&self, _sid: &CallSid) -> HangUp {
        HangUp::NoProvider
    }
}
