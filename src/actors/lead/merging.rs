//! Merges a lead into another, in the mailbox of the one that goes: what was heard of it before is brought to its runs first, then they end.
//!
//! Every step may be done again: whoever asks a second time, after a crash in between, gets the rest done.

use super::LeadActor;
use crate::{
    actors::{erasures, leads::Subject, runs::RunError},
    clock,
    domain::{
        consent::ContactChannel,
        contact_caps::{CONTACT_LIFE, ContactCaps},
        ids::{AccountId, LeadId},
    },
    store::{contacts::Contact, runs::RunFilter, walking::Walk},
};

/// The code of a merge that cannot be made.
const REFUSED: &str = "refused";
/// The code of one that comes too late.
const BEING_ERASED: &str = "being_erased";

impl LeadActor {
    /// Merges the lead of this mailbox into `kept`.
    pub(super) async fn merge(&self, subject: Subject, kept: LeadId) -> Result<(), RunError> {
        let Subject::Lead(account, duplicate) = subject else {
            // An account has no duplicate.
            return Ok(());
        };
        let began = clock::now();
        let store = &self.kind.store;
        for lead in [duplicate, kept] {
            // Looked at here too: the merge may have waited in the mailbox.
            if erasures::erased_since(store, (account, lead), began)
                .await?
                .is_some()
            {
                return Err(RunError::Refused {
                    code: BEING_ERASED,
                    detail: format!("lead {lead} is being erased"),
                });
            }
        }
        self.take_up(subject).await?;
        self.end_runs(account, duplicate, kept).await?;
        self.count_contacts(account, duplicate, kept).await?;
        let leads = &self.kind.store.leads;
        match leads.merge(account, kept, duplicate, clock::now()).await? {
            Ok(merged) => {
                // Asked for while the two became one: what was taken over goes with the lead that has it now.
                let erased = erasures::erased_since(store, (account, duplicate), began).await?;
                if let Some(requested_by) = erased {
                    erasures::erase_too(store, merged, requested_by).await?;
                }
                tracing::info!(lead_id = %kept, %duplicate, "lead merged");
                Ok(())
            }
            Err(refusal) => Err(RunError::Refused {
                code: REFUSED,
                detail: refusal.to_string(),
            }),
        }
    }

    async fn end_runs(&self, account: AccountId, duplicate: LeadId, kept: LeadId) -> Result<(), RunError> {
        let runs = &self.kind.store.runs;
        let filter = RunFilter {
            lead_id: Some(duplicate),
            only_active: true,
            ..RunFilter::default()
        };
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| runs.list(account, filter.clone(), page)).await? {
            let ids = page.into_iter().map(|head| head.id).collect();
            self.cancel_all(account, ids, &format!("lead merged into {kept}"))
                .await?;
        }
        Ok(())
    }

    /// Lets what went out to the duplicate count for the kept lead's caps. Before the two are one: nothing goes out uncounted in between.
    async fn count_contacts(
        &self,
        account: AccountId,
        duplicate: LeadId,
        kept: LeadId,
    ) -> Result<(), RunError> {
        let contacts = &self.kind.store.contacts;
        let from = clock::now().minus(CONTACT_LIFE);
        for channel in ContactChannel::ALL {
            let booked = contacts
                .booked_since(account, &duplicate.to_string(), channel, from)
                .await?;
            for contact in booked {
                let contact = Contact {
                    account_id: account,
                    subject: kept.to_string(),
                    channel,
                    key: contact.key,
                    at: contact.at,
                };
                contacts.book(contact, ContactCaps::default()).await?;
            }
        }
        Ok(())
    }
}
