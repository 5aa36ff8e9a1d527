//! Contacts: what went out to whom by which channel, booked before it is sent, so that caps hold across workflows.

use async_trait::async_trait;

use super::StoreResult;
use crate::domain::{consent::ContactChannel, ids::AccountId, time::Timestamp};

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

/// How many contacts of one person by one channel are allowed. 0: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactCaps {
    /// In any 24 hours.
    pub per_day: u32,
    /// In any 7 days.
    pub per_week: u32,
}

/// What a booking led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booking {
    /// There is room; the counts include this one.
    Booked { day: u32, week: u32 },
    /// Nothing was booked.
    Full {
        /// How many there were in the stretch that is full.
        count: u32,
        cap: u32,
        /// Days of the stretch: 1 or 7.
        days: u32,
        /// When the oldest of them no longer counts.
        frees_at: Timestamp,
    },
}

#[async_trait]
pub trait ContactStore: Send + Sync {
    /// Books a contact if the caps leave room, counting and booking in one step. An effect that is booked stays booked and is not
    /// counted twice.
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking>;
    /// Takes a booking back: the effect was definitely not carried out.
    async fn release(&self, contact: Contact) -> StoreResult<()>;
}
