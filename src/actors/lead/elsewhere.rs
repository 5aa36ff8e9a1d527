//! Messages for a lead whose shard another node acts for.
//!
//! In: a message that came here. Out: word to the owner that there is something in the store to take up; a start whose asker waits is
//! asked of the owner, and its answer brought back.

use super::{LeadKind, LeadMsg};
use crate::actors::{
    cluster::{
        neighbours::PATIENCE,
        words::{Said, Word},
    },
    leads::Subject,
    runs::RunError,
};

/// Passes a message on to the node that acts for the lead.
pub(super) fn pass_on(kind: &LeadKind, subject: Subject, message: LeadMsg) {
    let (account_id, lead_id) = match subject {
        Subject::Lead(account_id, lead_id) => (account_id, Some(lead_id)),
        Subject::Account(account_id) => (account_id, None),
    };
    match message {
        LeadMsg::Observed(_) | LeadMsg::RunEnded | LeadMsg::Recover => {
            let word = Word::TakeUpFacts { account_id, lead_id };
            // Should the shard come here meanwhile, the look at it finds the same facts.
            kind.neighbours.mention(subject.shard(), word, drop);
        }
        LeadMsg::Merge(kept, reply) => {
            let neighbours = kind.neighbours.clone();
            tokio::spawn(async move {
                let (Subject::Lead(account_id, duplicate), shard) = (subject, subject.shard()) else {
                    return;
                };
                let word = Word::MergeLead {
                    account_id,
                    duplicate,
                    kept,
                };
                let merged = match neighbours.tell(shard, &word, PATIENCE).await {
                    Ok(Some(Said::Done)) => Ok(()),
                    Ok(Some(Said::Refused { refusal })) => Err(refusal.into()),
                    // It is this node's after all: whoever asks again is answered here.
                    Ok(Some(_) | None) => Err(RunError::TimedOut),
                    Err(unheard) => Err(unheard.into()),
                };
                // Whoever does not wait any more asks again.
                let _ = reply.send(merged);
            });
        }
        LeadMsg::Due(observation, workflow_id, reply) => {
            let neighbours = kind.neighbours.clone();
            tokio::spawn(async move {
                let word = Word::StartDue {
                    observation,
                    workflow_id,
                };
                let said = neighbours.tell(subject.shard(), &word, PATIENCE).await;
                if let Ok(Some(Said::Settled { is_settled })) = said {
                    // Nobody waits any more when the schedules gave up: they ask again.
                    let _ = reply.send(is_settled);
                }
                // Without an answer the asker's own time-out ends its wait, and it asks again.
            });
        }
    }
}
