//! A customer who waits in their room for an agent whom nobody is calling: the process that was about to died, and Twilio did not
//! tell of it again. They are sent on, as if the agent had not answered. Part of the call's actor.

use std::sync::Arc;

use super::{CallActor, CallState, Loaded};
use crate::{clock, integrations::line::LineAnswer};

/// Waits of this many times the silence after which a call is looked up: longer than a leg in doubt is looked up for.
const PATIENCE: u32 = 3;

impl CallActor {
    /// Sends a customer on whom nobody comes for.
    pub(super) fn watch_room(&self, state: &CallState, loaded: &Loaded) {
        let Some((agent, since)) = loaded.call.forgotten() else {
            return;
        };
        let is_ours = self.kind.neighbours.is_here(state.key.1.shard());
        if !is_ours || clock::now().since(since) < self.kind.lost_after * PATIENCE {
            return;
        }
        let (line, sid, call_id) = (Arc::clone(&self.kind.line), loaded.call.sid.clone(), state.key.1);
        // Asked again with the next look, until the customer has left the room.
        tokio::spawn(async move {
            match line.send_on(&sid, agent).await {
                LineAnswer::Asked => {
                    tracing::warn!(%call_id, "a customer waited for nobody: they are sent on")
                }
                LineAnswer::Failed(detail) => {
                    tracing::warn!(%call_id, detail, "a customer waits for nobody and cannot be sent on");
                }
                LineAnswer::Over | LineAnswer::NoProvider => (),
            }
        });
    }
}
