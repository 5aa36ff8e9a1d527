//! Facts on their way: those that are kept, and those that were announced before the change that they follow from.
//!
//! An announced fact's row has no account and names the note of the change. Is the note there, the change was made and the fact is kept;
//! else the change was not made, or not yet, and the row goes by itself.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{Observations, READS_AT_ONCE, mark_of};
use crate::{
    domain::{
        ids::{AccountId, LeadId, ObservationId},
        observation::Observation,
    },
    store::{
        ObservationStore, Recorded, StoreResult,
        scylla::{
            session::Statement,
            values::{body, from_body, present},
        },
    },
};

/// A row of [`BODIES`]: id, account, whether it is routed, body.
type StoredFact = (ObservationId, Option<AccountId>, Option<bool>, Option<String>);

const BODIES: Statement = Statement::read("SELECT id, account, routed, body FROM observations WHERE id IN ?");
/// For a week: longer than a mark waits for somebody to look.
const ANNOUNCE: Statement =
    Statement::write("INSERT INTO observations (id, body) VALUES (?, ?) USING TTL 604800");
const NOTED: Statement = Statement::read("SELECT facts FROM leads WHERE account = ? AND id = ? AND key = ?");

const FACTS_PER_READ: usize = 32;

/// What stands for a fact until the change is made that it follows from: where that is noted.
#[derive(Serialize, Deserialize)]
pub(super) struct Announced {
    account: AccountId,
    lead: LeadId,
    key: String,
}

impl Observations {
    /// Says that these facts follow from a change of a lead that is about to be made and noted under `key`.
    pub(in crate::store::scylla) async fn announce(
        &self,
        lead: LeadId,
        key: &str,
        facts: &[Observation],
    ) -> StoreResult<()> {
        let Some(first) = facts.first() else { return Ok(()) };
        let announced = body(&Announced {
            account: first.account_id,
            lead,
            key: key.to_owned(),
        })?;
        for fact in facts {
            let mark = mark_of(fact.shard(), fact.id, self.hour_for(fact.at));
            tokio::try_join!(self.db.mark(mark), self.db.write(ANNOUNCE, (fact.id, &announced)))?;
        }
        Ok(())
    }

    /// Keeps the facts that were announced and whose change was made since.
    async fn keep_announced(&self, announced: Vec<Announced>) -> StoreResult<Vec<Observation>> {
        let mut kept = Vec::new();
        for Announced { account, lead, key } in announced {
            let note: Option<(Option<String>,)> = self.db.first(NOTED, (account, lead, key)).await?;
            let Some((Some(facts),)) = note else { continue };
            let facts: Vec<Observation> = from_body(&facts)?;
            for fact in facts {
                if self.record(fact.clone()).await? == Recorded::Fresh {
                    kept.push(fact);
                }
            }
        }
        Ok(kept)
    }

    /// These facts as far as they are kept, and whether each is routed; and what was announced and is not kept.
    pub(super) async fn bodies(
        &self,
        ids: Vec<ObservationId>,
    ) -> StoreResult<(BTreeMap<ObservationId, (bool, Observation)>, Vec<Announced>)> {
        let questions: Vec<Vec<ObservationId>> = ids.chunks(FACTS_PER_READ).map(<[_]>::to_vec).collect();
        let answers: Vec<Vec<StoredFact>> = stream::iter(questions)
            .map(|ids| self.db.rows(BODIES, (ids,)))
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let (mut facts, mut announced) = (BTreeMap::new(), Vec::new());
        for (id, account, routed, text) in answers.into_iter().flatten() {
            let text = present(text, "a fact's body")?;
            if account.is_some() {
                facts.insert(id, (routed == Some(true), from_body(&text)?));
            } else {
                announced.push(from_body(&text)?);
            }
        }
        Ok((facts, announced))
    }

    /// Those of these facts that are on their way, oldest first.
    pub(super) async fn on_their_way(&self, ids: Vec<ObservationId>) -> StoreResult<Vec<Observation>> {
        let (kept, announced) = self.bodies(ids).await?;
        let kept = kept
            .into_values()
            .filter(|(routed, _)| !routed)
            .map(|(_, fact)| fact);
        let mut facts: Vec<Observation> = kept.collect();
        facts.extend(self.keep_announced(announced).await?);
        facts.sort_by_key(|fact| (fact.at, fact.id));
        Ok(facts)
    }
}
