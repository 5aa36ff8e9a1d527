//! Whom an effect would reach: the people behind its addresses.

use super::Gate;
use crate::{
    domain::{ids::AccountId, lead::Lead, time::Timestamp},
    store::{StoreError, StoreResult, accounts::Account},
    workflows::{Effect, effect::Recipient, gate_rules::is_heard},
};

/// Somebody an effect would reach.
#[derive(Debug)]
pub(super) struct Person {
    /// Their addresses among the receivers of an e-mail.
    pub mailboxes: Vec<String>,
    /// `None` for an address that nobody is known behind.
    pub lead: Option<Lead>,
    /// When they last wrote or called, as far as it matters for an answer.
    pub last_heard: Option<Timestamp>,
}

impl Gate {
    /// The people that an effect would reach, at least one. The first receiver counts as the run's lead where nobody else is known
    /// behind the address. Of further receivers those are judged who are leads: of others nothing is known that forbids it.
    pub(super) async fn people(
        &self,
        effect: &Effect,
        account: &Account,
        now: Timestamp,
    ) -> StoreResult<Vec<Person>> {
        let own = self.own_lead(effect).await?;
        let receivers = effect.request.errand().recipients();
        let mut people: Vec<Person> = Vec::new();
        for (place, receiver) in receivers.iter().enumerate() {
            let owner = self.owner(account.id, *receiver, own.as_ref()).await?;
            let lead = if place == 0 {
                owner.or_else(|| own.clone())
            } else {
                owner
            };
            if place > 0 && lead.is_none() {
                continue;
            }
            let mailbox = match receiver {
                Recipient::Email(address) => Some((*address).to_owned()),
                Recipient::Phone(_) => None,
            };
            let is_known = |person: &&mut Person| {
                let id = person.lead.as_ref().map(|lead| lead.id);
                id.is_some() && id == lead.as_ref().map(|lead| lead.id)
            };
            if let Some(known) = people.iter_mut().find(is_known) {
                known.mailboxes.extend(mailbox);
                continue;
            }
            let last_heard = self.last_heard(account, lead.as_ref(), now).await?;
            people.push(Person {
                mailboxes: mailbox.into_iter().collect(),
                lead,
                last_heard,
            });
        }
        if people.is_empty() {
            let last_heard = self.last_heard(account, own.as_ref(), now).await?;
            people.push(Person {
                mailboxes: Vec::new(),
                lead: own,
                last_heard,
            });
        }
        Ok(people)
    }

    async fn own_lead(&self, effect: &Effect) -> StoreResult<Option<Lead>> {
        let Some(id) = effect.lead_id else {
            return Ok(None);
        };
        match self.store.leads.get(effect.account_id, id).await {
            Ok(lead) => Ok(Some(lead)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whose address it is.
    async fn owner(
        &self,
        account: AccountId,
        address: Recipient<'_>,
        own: Option<&Lead>,
    ) -> StoreResult<Option<Lead>> {
        let is_own = own.is_some_and(|lead| match address {
            Recipient::Phone(number) => lead.phone.as_ref() == Some(number),
            Recipient::Email(address) => {
                let email = lead.email.as_deref();
                email.is_some_and(|email| email.eq_ignore_ascii_case(address))
            }
        });
        match address {
            _ if is_own => Ok(own.cloned()),
            Recipient::Phone(number) => self.store.leads.by_phone(account, number).await,
            Recipient::Email(address) => self.store.leads.by_email(account, address).await,
        }
    }

    /// When the person last wrote or called, as far as it matters for an answer.
    async fn last_heard(
        &self,
        account: &Account,
        lead: Option<&Lead>,
        now: Timestamp,
    ) -> StoreResult<Option<Timestamp>> {
        let matters = self.rules.require_consent || account.require_consent || !self.rules.caps_replies;
        let Some(lead) = lead.filter(|_| matters && !self.rules.reply_within.is_zero()) else {
            return Ok(None);
        };
        let facts = self
            .store
            .observations
            .of_lead_since(account.id, lead.id, now.minus(self.rules.reply_within))
            .await?;
        let heard = facts
            .iter()
            .rev()
            .find(|fact| is_heard(fact.kind.as_str(), &fact.data));
        Ok(heard.map(|fact| fact.at))
    }
}
