//! Whom an effect would reach: the people behind its addresses, and what the gate asks about each.
//!
//! In: an effect, and who is known behind each of its addresses. Out: people, at least one. Pure: the shell (`actors::gate`) finds out who is
//! known, a dry run asks the people that it is given.

use super::{
    effect::{Effect, Recipient},
    gate_rules::GateFacts,
};
use crate::domain::{ids::LeadId, lead::Lead, time::Timestamp};

/// Somebody an effect would reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Their addresses among the receivers of an e-mail.
    pub mailboxes: Vec<String>,
    /// `None` for an address that nobody is known behind.
    pub lead: Option<Lead>,
    /// When they last wrote or called, as far as it matters for an answer.
    pub last_heard: Option<Timestamp>,
}

/// The people that `effect` would reach, at least one; `owners` are known behind its addresses, in their order, and `own` is the lead it
/// is about. The first receiver counts as that lead where nobody else is known behind the address. Of further receivers those
/// are judged who are leads: of others nothing is known that forbids it.
#[must_use]
pub fn people_of(effect: &Effect, owners: Vec<Option<Lead>>, own: Option<&Lead>) -> Vec<Person> {
    let receivers = effect.request.errand().recipients();
    let mut people: Vec<Person> = Vec::new();
    for (place, (receiver, owner)) in receivers.iter().zip(owners).enumerate() {
        let lead = owner.or_else(|| own.filter(|_| place == 0).cloned());
        if place > 0 && lead.is_none() {
            continue;
        }
        let mailbox = match receiver {
            Recipient::Email(address) => Some((*address).to_owned()),
            Recipient::Phone(_) => None,
        };
        let id = lead.as_ref().map(|lead| lead.id);
        let known = people
            .iter_mut()
            .find(|person| id.is_some() && person.lead_id() == id);
        match known {
            Some(known) => known.mailboxes.extend(mailbox),
            None => people.push(Person {
                mailboxes: mailbox.into_iter().collect(),
                lead,
                last_heard: None,
            }),
        }
    }
    if people.is_empty() {
        people.push(Person {
            mailboxes: Vec::new(),
            lead: own.cloned(),
            last_heard: None,
        });
    }
    people
}

/// Whether an address is the lead's own.
#[must_use]
pub fn is_address_of(lead: &Lead, address: Recipient<'_>) -> bool {
    match address {
        Recipient::Phone(number) => lead.phone.as_ref() == Some(number),
        Recipient::Email(address) => {
            let email = lead.email.as_deref();
            email.is_some_and(|email| email.eq_ignore_ascii_case(address))
        }
    }
}

impl Person {
    /// Which lead they are.
    #[must_use]
    pub fn lead_id(&self) -> Option<LeadId> {
        self.lead.as_ref().map(|lead| lead.id)
    }

    /// What the gate's rules ask about them.
    #[must_use]
    pub fn facts<'a>(
        &'a self,
        effect: &'a Effect,
        account_requires_consent: bool,
        now: Timestamp,
    ) -> GateFacts<'a> {
        let errand = effect.request.errand();
        GateFacts {
            now,
            account_requires_consent,
            channel: errand.channel(),
            lead: self.lead.as_ref(),
            to: errand.phone(),
            window: effect.window.as_deref(),
            last_heard: self.last_heard,
        }
    }
}
