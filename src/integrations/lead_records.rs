//! What runs do to leads: edits and searches. They stay in the house.
//!
//! An edit carries its effect's key, which the store notes in the same write: repeating it changes nothing twice. The facts
//! that follow are kept there too; the run's actor hands them on.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::port::{EffectOutcome, EffectPort};
use crate::{
    clock,
    domain::{
        ids::AccountId,
        lead::{EditBy, KeyedEdit, Lead, LeadEdit, LeadFilter},
        time::Timestamp,
    },
    store::{Store, StoreResult},
    workflows::{Effect, Finding, Request},
};

/// Leads read at once while a filter walks through all of them.
const WALK_ROWS: u32 = 1_000;

/// Writes to the store.
pub struct LeadRecords {
    pub store: Store,
}

#[async_trait]
impl EffectPort for LeadRecords {
    async fn execute(&self, effect: &Effect) -> EffectOutcome {
        match &effect.request {
            Request::EditLead { edit } => self.edit(effect, edit).await,
            Request::FindLeads { filter, limit } => {
                match self
                    .find(effect.account_id, filter, *limit, effect.planned_at)
                    .await
                {
                    Ok(output) => EffectOutcome::Confirmed {
                        provider_id: None,
                        output,
                    },
                    Err(error) => EffectOutcome::store_failed(&error),
                }
            }
            _ => EffectOutcome::permanent("no_lead_record", "only leads are edited and searched here"),
        }
    }

    async fn settle(&self, _effect: &Effect) -> Finding {
        // The core repeats what is harmless to repeat and never asks.
        Finding::CannotTell {
            reason: "edits and searches of leads are simply repeated".to_owned(),
        }
    }
}

impl LeadRecords {
    async fn edit(&self, effect: &Effect, edit: &LeadEdit) -> EffectOutcome {
        let Some(lead_id) = effect.lead_id else {
            return EffectOutcome::permanent("no_lead", "the run is about no lead");
        };
        let keyed = KeyedEdit {
            account_id: effect.account_id,
            lead_id,
            key: effect.key.clone(),
            planned_at: effect.planned_at,
            at: clock::now(),
            by: EditBy::Run(effect.run_id),
            trace: None,
            edit: edit.clone(),
        };
        match self.store.leads.edit(keyed).await {
            Ok(Ok(edited)) => EffectOutcome::Confirmed {
                provider_id: None,
                output: json!(edited),
            },
            Ok(Err(refusal)) => EffectOutcome::permanent(refusal.code(), refusal.to_string()),
            // Nothing is in doubt: the key tells a repeat.
            Err(error) => EffectOutcome::store_failed(&error),
        }
    }

    async fn find(
        &self,
        account_id: AccountId,
        filter: &LeadFilter,
        limit: u32,
        now: Timestamp,
    ) -> StoreResult<Value> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut after = None;
        let mut is_more = false;
        'walk: loop {
            let part = self.store.leads.walk(account_id, after, WALK_ROWS).await?;
            let Some(last) = part.last() else { break };
            after = Some((last.created_at, last.id));
            for lead in part.iter().filter(|lead| filter.matches(lead, now)) {
                if found.len() == limit {
                    is_more = true;
                    break 'walk;
                }
                found.push(shown(lead));
            }
        }
        Ok(json!({"count": found.len(), "is_more": is_more, "leads": found}))
    }
}

/// A lead as lists of them carry it: what is not known is left out.
fn shown(lead: &Lead) -> Value {
    let mut facts = Map::new();
    facts.insert("id".to_owned(), json!(lead.id));
    let texts = [
        ("name", Some(lead.name.as_str())),
        ("first_name", Some(lead.first_name())),
        (
            "phone",
            lead.phone
                .as_ref()
                .map(super::super::domain::phone::PhoneNumber::as_str),
        ),
        ("email", lead.email.as_deref()),
        ("timezone", lead.timezone.as_deref()),
    ];
    for (name, text) in texts {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            facts.insert(name.to_owned(), json!(text));
        }
    }
    facts.insert("score".to_owned(), json!(lead.score));
    facts.insert("stage".to_owned(), json!(lead.stage));
    Value::Object(facts)
}
