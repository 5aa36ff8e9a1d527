//! A provider that takes effects on and sometimes forgets to answer. What it has carried out is the truth of a saga.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::dice::Dice;
use crate::{
    clock,
    domain::time::Timestamp,
    integrations::port::{EffectOutcome, EffectPort},
    workflows::{Effect, Finding},
};

/// After so long the provider's list shows what it took on.
const SHOWS_AFTER: Duration = Duration::from_secs(5);
/// After so long it counts as absent what it does not show.
const GIVES_UP_AFTER: Duration = Duration::from_secs(60);
/// It answers no more: the caller's own time-out ends the wait.
const HANGS_FOR: Duration = Duration::from_secs(3_600);

/// One effect that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) effect: Effect,
    pub(super) at: Timestamp,
}

/// The provider of every effect.
pub(super) struct Provider {
    dice: Dice,
    is_calm: AtomicBool,
    deeds: Mutex<BTreeMap<String, Vec<Deed>>>,
    forgotten: AtomicU64,
}

/// What becomes of a request that has arrived.
enum Manner {
    Answers,
    /// Carries it out and loses the reply.
    Forgets,
    /// Carries it out and never replies.
    Hangs,
    /// The request is lost on its way, and the caller cannot know.
    NeverArrives,
    Refuses,
}

impl Provider {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            dice: Dice::new(seed),
            is_calm: AtomicBool::new(false),
            deeds: Mutex::default(),
            forgotten: AtomicU64::new(0),
        })
    }

    /// From here on it answers everything.
    pub(super) fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
    }

    /// What was carried out, by key.
    pub(super) fn deeds(&self) -> BTreeMap<String, Vec<Deed>> {
        self.locked().clone()
    }

    /// Whether the effect of this key was carried out.
    pub(super) fn has_done(&self, key: &str) -> bool {
        self.locked().contains_key(key)
    }

    /// Replies that were lost after their effect was carried out.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn manner(&self) -> Manner {
        if self.is_calm.load(Ordering::Relaxed) {
            return Manner::Answers;
        }
        match self.dice.below(100) {
            0..10 => Manner::Forgets,
            10..13 => Manner::Hangs,
            13..17 => Manner::NeverArrives,
            17..25 => Manner::Refuses,
            _ => Manner::Answers,
        }
    }

    async fn travel(&self) {
        tokio::time::sleep(Duration::from_micros(self.dice.below(400_000))).await;
    }

    fn carry_out(&self, effect: &Effect) {
        let deed = Deed {
            effect: effect.clone(),
            at: clock::now(),
        };
        self.locked().entry(effect.key.clone()).or_default().push(deed);
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::Relaxed);
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Deed>>> {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name_of(effect: &Effect) -> String {
    format!("P-{}", effect.key)
}

#[async_trait::async_trait]
impl EffectPort for Provider {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        self.travel().await;
        match self.manner() {
            Manner::Answers => self.carry_out(effect),
            Manner::Forgets => {
                self.carry_out(effect);
                self.forget();
                self.travel().await;
                let message = "the connection was closed without an answer".to_owned();
                return EffectOutcome::Unknown { message };
            }
            Manner::Hangs => {
                self.carry_out(effect);
                self.forget();
                tokio::time::sleep(HANGS_FOR).await;
            }
            Manner::NeverArrives => {
                let message = "the connection was reset".to_owned();
                return EffectOutcome::Unknown { message };
            }
            Manner::Refuses => return EffectOutcome::temporary("busy", "the provider is busy"),
        }
        self.travel().await;
        EffectOutcome::Confirmed {
            provider_id: Some(name_of(effect)),
            output: json!({}),
        }
    }

    async fn settle(&self, effect: &Effect) -> Finding {
        for wait in [SHOWS_AFTER, GIVES_UP_AFTER.saturating_sub(SHOWS_AFTER)] {
            tokio::time::sleep(wait).await;
            if self.has_done(&effect.key) {
                return Finding::Present {
                    provider_id: Some(name_of(effect)),
                    output: json!({}),
                };
            }
        }
        if self.dice.below(100) < 10 {
            let reason = "the list could not be read".to_owned();
            return Finding::CannotTell { reason };
        }
        Finding::Absent
    }
}
