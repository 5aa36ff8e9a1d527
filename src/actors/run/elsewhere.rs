//! Messages for a run that another node acts for.
//!
//! In: a message that came here, because its sender or the run's effect is here or because the shard has just moved. Out: the same as
//! a word to the owner, with its answer brought back. What the owner finds in the store by itself is not passed on.

use ractor::RpcReplyPort;

use super::{Reaction, RunFault, RunKind, RunMsg, RunState};
use crate::{
    actors::{
        cluster::{
            neighbours::PATIENCE,
            words::{Said, Word},
        },
        runs::RunError,
    },
    domain::ids::RunId,
    store::StoreError,
    workflows::Input,
};

/// Passes a message on to the node that acts for the run.
pub(super) fn pass_on(kind: &RunKind, run_id: RunId, message: RunMsg) {
    match message {
        // The owner holds the timers of its shards, and takes up what it finds when it becomes the owner.
        RunMsg::Recover | RunMsg::Input(Input::TimerFired { .. } | Input::Recovered) => {}
        RunMsg::Created(_) => mention(kind, run_id, Word::Wake { run_id }),
        RunMsg::Input(input) => {
            let input = Box::new(input);
            mention(kind, run_id, Word::Move { run_id, input });
        }
        RunMsg::Asked(input, reply) => {
            let word = Word::Move {
                run_id,
                input: Box::new(input),
            };
            ask(kind, run_id, word, reply);
        }
        RunMsg::Migrate(wanted, reply) => ask(kind, run_id, Word::Migrate { run_id, wanted }, reply),
    }
}

/// What came of an input whose sender does not wait. When the store says that a newer owner moves the run, this actor forgets what it
/// knows, and the owner gets the input: to act on would be to act twice.
pub(super) fn unless_fenced(
    kind: &RunKind,
    state: &mut RunState,
    input: Input,
    taken: Result<Reaction, RunFault>,
) -> Result<(), RunFault> {
    match taken {
        Ok(_) => Ok(()),
        Err(RunFault::Run(RunError::Store(StoreError::Fenced { .. }) | RunError::Unowned(_))) => {
            tracing::warn!(run_id = %state.id, "a run was moved by a newer owner: its input goes there");
            metrics::counter!("patchcord_fenced_total").increment(1);
            state.loaded = None;
            pass_on(kind, state.id, RunMsg::Input(input));
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

fn mention(kind: &RunKind, run_id: RunId, word: Word) {
    let runs = kind.runs.clone();
    kind.neighbours.mention(run_id.shard(), word, move |word| {
        if let Some(runs) = runs.get() {
            match word {
                Word::Move { run_id, input } => runs.bring(run_id, RunMsg::Input(*input)),
                _ => runs.look_after(vec![run_id]),
            }
        }
    });
}

fn ask(kind: &RunKind, run_id: RunId, word: Word, reply: RpcReplyPort<Result<Reaction, RunError>>) {
    let (neighbours, runs) = (kind.neighbours.clone(), kind.runs.clone());
    tokio::spawn(async move {
        let answer = match neighbours.tell(run_id.shard(), &word, PATIENCE).await {
            Ok(Some(Said::Moved { is_moved: true })) => Ok(Reaction::Moved),
            Ok(Some(Said::Moved { is_moved: false })) => Ok(Reaction::Ignored),
            Ok(Some(Said::Refused { refusal })) => Err(refusal.into()),
            Ok(Some(_)) => Err(RunError::TimedOut),
            // It is this node's after all.
            Ok(None) => return bring_back(&runs, word, reply),
            Err(unheard) => Err(unheard.into()),
        };
        if reply.send(answer).is_err() {
            tracing::debug!("nobody waits for the answer of another node any more");
        }
    });
}

fn bring_back(
    runs: &std::sync::OnceLock<crate::actors::RunsHandle>,
    word: Word,
    reply: RpcReplyPort<Result<Reaction, RunError>>,
) {
    let Some(runs) = runs.get() else { return };
    match word {
        Word::Move { run_id, input } => runs.bring(run_id, RunMsg::Asked(*input, reply)),
        Word::Migrate { run_id, wanted } => runs.bring(run_id, RunMsg::Migrate(wanted, reply)),
        // Only these two are asked.
        _ => drop(reply),
    }
}
