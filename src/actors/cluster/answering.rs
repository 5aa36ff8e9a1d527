//! What this node does when another one tells it something.
//!
//! In: letters, each a word with an id. Out: what came of it. A letter that comes again, because its answer was lost, gets the same answer
//! for as long as it is remembered; beyond that, words are harmless twice.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{
    neighbours::Neighbours,
    words::{Said, Word},
};
use crate::{
    actors::{
        CallsHandle, LeadsHandle, RunsHandle,
        leads::{Subject, home_of},
        run::Reaction,
        runs::RunError,
    },
    bus::local::LocalBus,
    domain::shard::Shard,
    workflows::Input,
};

/// Answers that are remembered.
const REMEMBERED_MAX: usize = 8_192;

/// A word on its way.
#[derive(Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Drawn once; every try carries it.
    pub id: String,
    pub word: Word,
}

/// Does what other nodes ask. Cheap to clone.
#[derive(Clone)]
pub struct Answering {
    runs: RunsHandle,
    leads: LeadsHandle,
    calls: CallsHandle,
    bus: LocalBus,
    neighbours: Neighbours,
    remembered: Arc<Mutex<Remembered>>,
}

#[derive(Default)]
struct Remembered {
    answers: BTreeMap<String, Said>,
    order: VecDeque<String>,
}

impl Remembered {
    fn keep(&mut self, id: String, said: Said) {
        if self.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        if self.answers.insert(id.clone(), said).is_none() {
            self.order.push_back(id);
        }
    }
}

impl Answering {
    /// Answers with these handles.
    #[must_use]
    pub fn new(
        runs: RunsHandle,
        leads: LeadsHandle,
        calls: CallsHandle,
        bus: LocalBus,
        neighbours: Neighbours,
    ) -> Self {
        Self {
            runs,
            leads,
            calls,
            bus,
            neighbours,
            remembered: Arc::default(),
        }
    }

    /// Who may tell this node anything.
    #[must_use]
    pub const fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Does what a letter says, once.
    pub async fn answer(&self, letter: Letter) -> Said {
        let Letter { id, word } = letter;
        if let Some(said) = self.remembered(&id) {
            return said;
        }
        if let Some(shard) = shard_of(&word)
            && !self.neighbours.is_here(shard)
        {
            return Said::NotMine;
        }
        let said = self.follow(word).await;
        let is_final = match &said {
            Said::NotMine
            | Said::Refused {
                refusal: super::words::Refusal::Later { .. },
            } => false,
            Said::Done
            | Said::Kept { .. }
            | Said::Moved { .. }
            | Said::Settled { .. }
            | Said::Run { .. }
            | Said::Refused { .. } => true,
        };
        if is_final {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.keep(id, said.clone());
        }
        said
    }

    fn remembered(&self, id: &str) -> Option<Said> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.answers.get(id).cloned()
    }

    async fn follow(&self, word: Word) -> Said {
        match word {
            Word::Observe { observation } => match self.leads.observe_here(*observation).await {
                Ok(recorded) => recorded.into(),
                Err(error) => error.into(),
            },
            Word::TakeUpFacts { account_id, lead_id } => {
                let subject = lead_id.map_or(Subject::Account(account_id), |lead_id| {
                    Subject::Lead(account_id, lead_id)
                });
                self.leads.take_up(subject);
                Said::Done
            }
            Word::StartDue {
                observation,
                workflow_id,
            } => match self.leads.start_due(*observation, workflow_id).await {
                Ok(is_settled) => Said::Settled { is_settled },
                Err(error) => error.into(),
            },
            Word::MergeLead {
                account_id,
                duplicate,
                kept,
            } => match self.leads.merge(account_id, duplicate, kept).await {
                Ok(()) => Said::Done,
                Err(error) => error.into(),
            },
            Word::Wake { run_id } => {
                self.runs.look_after(vec![run_id]);
                Said::Done
            }
            Word::Move { run_id, input } => self.moved(run_id, *input).await,
            Word::Migrate { run_id, wanted } => said_of(self.runs.migrate_here(run_id, wanted).await),
            Word::Execute { start, id } => run_of(self.runs.execute_here(*start, id).await),
            Word::StartChild { effect } => run_of(self.runs.start_child(&self.bus, &effect).await),
            Word::RestartOn {
                account_id,
                run_id,
                version,
            } => run_of(self.runs.restart_on(account_id, run_id, version).await),
            Word::TakeUpRun {
                account_id,
                run_id,
                id,
                begin_at,
                on,
            } => run_of(self.runs.take_up(account_id, run_id, id, begin_at, on).await),
            Word::CallFacts { account_id, call_id } => {
                self.calls.facts_arrived(account_id, call_id);
                Said::Done
            }
            Word::Hears { account_id, call_id } => Said::Settled {
                is_settled: self.calls.hears(account_id, call_id),
            },
        }
    }

    async fn moved(&self, run_id: crate::domain::ids::RunId, input: Input) -> Said {
        said_of(self.runs.ask(run_id, input).await)
    }
}

fn said_of(reaction: Result<Reaction, RunError>) -> Said {
    match reaction {
        Ok(reaction) => Said::Moved {
            is_moved: reaction == Reaction::Moved,
        },
        Err(error) => error.into(),
    }
}

fn run_of(run: Result<crate::domain::ids::RunId, RunError>) -> Said {
    match run {
        Ok(run_id) => Said::Run { run_id },
        Err(error) => error.into(),
    }
}

/// The shard whose owner a word is for; `None` for one that is for this node whatever it owns.
fn shard_of(word: &Word) -> Option<Shard> {
    match word {
        Word::Observe { observation } => Some(home_of(observation)),
        Word::TakeUpFacts { account_id, lead_id } => Some(
            lead_id
                .map_or(Subject::Account(*account_id), |lead_id| {
                    Subject::Lead(*account_id, lead_id)
                })
                .shard(),
        ),
        Word::StartDue { observation, .. } => Some(Subject::of(observation).shard()),
        Word::MergeLead { duplicate, .. } => Some(duplicate.shard()),
        Word::Wake { run_id }
        | Word::Move { run_id, .. }
        | Word::Migrate { run_id, .. }
        | Word::RestartOn { run_id, .. }
        | Word::TakeUpRun { id: run_id, .. }
        | Word::Execute { id: run_id, .. } => Some(run_id.shard()),
        Word::StartChild { effect } => Some(effect.child_id().shard()),
        Word::CallFacts { call_id, .. } => Some(call_id.shard()),
        Word::Hears { .. } => None,
    }
}
