//! A live call that nobody hears is streamed to us again: its listener died, or its socket broke off.
//!
//! In: word that a call should be heard. Out: a request to the provider, made by the node that acts for the call's shard, when no node hears
//! the call and the provider says that it goes on. The hole in the transcript shows in the call's `gaps`. Part of the call's actor.

use std::time::Duration;

use super::{CallActor, CallMsg, CallState, Loaded};
use crate::{
    actors::cluster::words::{Said, Word},
    integrations::probe::ProbeAnswer,
};

/// A call that ends is told so within this time: its last stream ends first.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// Before the next try.
const AGAIN_IN: Duration = Duration::from_secs(5);
/// Tries for one call while this actor lives: a provider that starts no stream is not asked for ever.
const TRIES_MAX: u32 = 5;

/// Whether some node hears a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ears {
    Somewhere,
    Nowhere,
    /// A node did not answer: it may.
    Unknown,
}

impl CallActor {
    /// Sets a look at whether anybody hears a call that should be heard.
    pub(super) fn look_for_ears(&self, state: &CallState, loaded: &mut Loaded) {
        let is_ours = self.kind.neighbours.is_here(state.key.1.shard());
        let is_set = loaded.ears.as_ref().is_some_and(|look| !look.is_finished());
        if is_ours && !is_set && loaded.call.should_be_heard().is_some() {
            loaded.ears = Some(look_in(state, SETTLES_IN));
        }
    }

    /// Has the call streamed again unless somebody hears it.
    pub(super) fn take_unheard(&self, state: &CallState, loaded: &mut Loaded) {
        let Some(inbound) = loaded.call.should_be_heard() else {
            return;
        };
        if self.kind.lines.hears(state.key) || loaded.ears_tried >= TRIES_MAX {
            return;
        }
        loaded.ears_tried += 1;
        let (kind, key, sid) = (self.kind.clone(), state.key, loaded.call.sid.clone());
        let again = state.desk.clone();
        loaded.ears = Some(tokio::spawn(async move {
            match kind.ears_of(key).await {
                Ears::Somewhere => return,
                Ears::Unknown => {}
                Ears::Nowhere => match kind.probe.ask(&sid).await {
                    ProbeAnswer::Live => match kind.probe.stream_again(&sid, inbound).await {
                        Ok(()) => {
                            tracing::info!(call_id = %key.1, "a call that nobody heard is streamed again");
                            metrics::counter!("patchcord_calls_heard_again_total").increment(1);
                            return;
                        }
                        Err(error) => {
                            tracing::warn!(call_id = %key.1, %error, "a call could not be streamed again");
                        }
                    },
                    // The watchdog closes the record.
                    ProbeAnswer::Ended { .. } | ProbeAnswer::Gone => return,
                },
            }
            tokio::time::sleep(AGAIN_IN).await;
            again.send(key, CallMsg::Unheard);
        }));
    }
}

fn look_in(state: &CallState, pause: Duration) -> tokio::task::JoinHandle<()> {
    let (desk, key) = (state.desk.clone(), state.key);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        desk.send(key, CallMsg::Unheard);
    })
}

impl super::CallKind {
    /// Asks every other node whether it hears the call.
    async fn ears_of(&self, (account_id, call_id): super::CallKey) -> Ears {
        let word = Word::Hears { account_id, call_id };
        let mut ears = Ears::Nowhere;
        for said in self.neighbours.ask_everybody(&word).await {
            match said {
                Some(Said::Settled { is_settled: true }) => return Ears::Somewhere,
                Some(Said::Settled { is_settled: false }) => {}
                Some(_) | None => ears = Ears::Unknown,
            }
        }
        ears
    }
}
