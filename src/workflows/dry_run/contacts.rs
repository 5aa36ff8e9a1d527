//! The contacts a dry run believes in: what went out before it, and what it sends itself.

use std::collections::BTreeMap;

use crate::{
    domain::{
        consent::ContactChannel,
        contact_caps::{BookedContact, Booking},
        time::Timestamp,
    },
    workflows::gate_caps::Counted,
};

/// Contacts by person and channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contacts(BTreeMap<(String, ContactChannel), Vec<BookedContact>>);

impl Contacts {
    /// Adds what went to a person by a channel.
    pub fn add(&mut self, subject: String, channel: ContactChannel, contacts: Vec<BookedContact>) {
        self.0.entry((subject, channel)).or_default().extend(contacts);
    }

    /// Books a contact where there is room for it, as the store does. What a trial played before has sent later does not count
    /// yet.
    pub(super) fn book(&mut self, counted: Counted, key: &str, now: Timestamp) -> Booking {
        let Counted {
            subject,
            channel,
            caps,
        } = counted;
        let all = self.0.entry((subject, channel)).or_default();
        let mut before: Vec<_> = all.iter().filter(|contact| contact.at <= now).cloned().collect();
        before.sort_by_key(|contact| contact.at);
        let booking = caps.room_for(key, now, &before);
        let is_new = before.iter().all(|contact| contact.key != key);
        if is_new && matches!(booking, Booking::Booked { .. }) {
            all.push(BookedContact {
                at: now,
                key: key.to_owned(),
            });
        }
        booking
    }

    /// Takes a booking back: nothing was sent.
    pub(super) fn release(&mut self, key: &str) {
        for contacts in self.0.values_mut() {
            contacts.retain(|contact| contact.key != key);
        }
    }
}
