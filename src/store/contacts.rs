//! Contacts: what went out to whom by which channel, booked before it is sent, so that caps hold across workflows.

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::{consent::ContactChannel, contact_caps::BookedContact, ids::AccountId, time::Timestamp};

pub use crate::domain::contact_caps::{Booking, ContactCaps};

/// One message or call to one person, about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub account_id: AccountId,
    /// The lead's id, or the address where nobody is known behind it.
    pub subject: String,
    pub channel: ContactChannel,
    /// The effect's key: every attempt of one effect is one contact.
    pub key: String,
    pub at: Timestamp,
}

#[async_trait]
pub trait ContactStore: Send + Sync {
    /// Books a contact if the caps leave room, counting and booking in one step. An effect that is booked stays booked and is not
    /// counted twice.
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking>;
    /// A person's contacts by one channel that were booked after `from`, oldest first.
    async fn booked_since(
        &self,
        account_id: AccountId,
        subject: &str,
        channel: ContactChannel,
        from: Timestamp,
    ) -> StoreResult<Vec<BookedContact>>;
    /// Forgets every contact with a person.
    async fn forget(&self, account_id: AccountId, subject: &str) -> StoreResult<()>;
    /// Takes a booking back: the effect was definitely not carried out.
    async fn release(&self, contact: Contact) -> StoreResult<()>;
}
