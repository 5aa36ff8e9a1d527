//! Whom an effect would reach: the people behind its addresses.

use super::Gate;
use crate::{
    domain::{
        consent::ContactChannel,
        ids::{AccountId, LeadId},
        lead::Lead,
        phone::PhoneNumber,
        time::Timestamp,
    },
    store::{StoreError, StoreResult, accounts::Account},
    workflows::{
        Effect,
        effect::Recipient,
        gate_people::{Person, is_address_of, people_of},
        gate_rules::is_heard,
    },
};

impl Gate {
    /// The people that an effect would reach, at least one.
    pub(super) async fn people(
        &self,
        effect: &Effect,
        account: &Account,
        now: Timestamp,
    ) -> StoreResult<Vec<Person>> {
        let own = self.own_lead(effect).await?;
        let mut owners = Vec::new();
        for receiver in effect.request.errand().recipients() {
            owners.push(self.owner(account.id, receiver, own.as_ref()).await?);
        }
        let mut people = people_of(effect, owners, own.as_ref());
        for person in &mut people {
            person.last_heard = self.last_heard(account, person.lead.as_ref(), now).await?;
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
        match address {
            _ if own.is_some_and(|own| is_address_of(own, address)) => Ok(own.cloned()),
            Recipient::Phone(number) => match self.store.leads.by_phone(account, number).await? {
                Some(lead) => Ok(Some(lead)),
                None => self.whoever_had(account, number).await,
            },
            Recipient::Email(address) => self.store.leads.by_email(account, address).await,
        }
    }

    /// Whoever had a number that no lead has any more, if they have opted out of messages or calls.
    async fn whoever_had(&self, account: AccountId, number: &PhoneNumber) -> StoreResult<Option<Lead>> {
        let opt_out = self.store.leads.opt_out_of(account, number).await?;
        let stopped = ContactChannel::STOPPED_BY_SMS;
        if !stopped.iter().any(|channel| opt_out.covers(Some(*channel))) {
            return Ok(None);
        }
        let mut lead = Lead::nameless(LeadId::fresh(), account, Timestamp::default());
        lead.phone = Some(number.clone());
        lead.join_opt_out(&opt_out);
        Ok(Some(lead))
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
        let mut last = None;
        for id in lead.ids() {
            let facts = self
                .store
                .observations
                .of_lead_since(account.id, id, now.minus(self.rules.reply_within))
                .await?;
            let heard = facts
                .iter()
                .rev()
                .find(|fact| is_heard(fact.kind.as_str(), &fact.data));
            last = last.max(heard.map(|fact| fact.at));
        }
        Ok(last)
    }
}
