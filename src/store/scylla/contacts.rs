//! Contacts in CQL: one partition for a person and a channel, with a revision that every booking moves on.
//!
//! A booking reads the last seven days, counts, and adds its row on condition that the revision is the one it read: counting and
//! booking are one step, whoever else books. What no cap looks back on any more goes by its time to live, with the revision.

use async_trait::async_trait;

use super::{
    fields::{Int, Row, Values, values},
    revised::TRIES_MAX,
    rows::{Conditional, Scylla},
};
use crate::{
    domain::{consent::ContactChannel, contact_caps::BookedContact, ids::AccountId, time::Timestamp},
    store::{
        ContactStore, StoreError, StoreResult,
        contacts::{Booking, Contact, ContactCaps},
    },
};

/// A day longer than any cap looks back.
const TTL: Int = Int(8 * 24 * 3_600);

const READ: &str = "SELECT at, key, revision FROM contacts WHERE account = ? AND subject = ? AND channel = ?";
const MOVE: &str = "UPDATE contacts USING TTL ? SET revision = ? WHERE account = ? AND subject = ? AND channel = ? IF revision = ?";
const BOOK: &str =
    "INSERT INTO contacts (account, subject, channel, at, key) VALUES (?, ?, ?, ?, ?) USING TTL ?";
const RELEASE: &str =
    "DELETE FROM contacts WHERE account = ? AND subject = ? AND channel = ? AND at = ? AND key = ?";

const FORGET: &str = "DELETE FROM contacts WHERE account = ? AND subject = ? AND channel = ?";

/// A person's contacts by one channel, oldest first.
struct Ledger {
    revision: Option<u64>,
    rows: Vec<BookedContact>,
}

impl Ledger {
    fn holds(&self, key: &str) -> bool {
        self.rows.iter().any(|booked| booked.key == key)
    }
}

#[async_trait]
impl ContactStore for Scylla {
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking> {
        for _ in 0..TRIES_MAX {
            let ledger = ledger_of(self.select(READ, key(&contact)).await?)?;
            let booking = caps.room_for(&contact.key, contact.at, &ledger.rows);
            if matches!(booking, Booking::Full { .. }) || ledger.holds(&contact.key) {
                return Ok(booking);
            }
            let mut row = key(&contact);
            row.extend(values![contact.at, contact.key, TTL]);
            if self.move_on(&contact, &ledger, (BOOK, row), true).await? {
                return Ok(booking);
            }
        }
        Err(StoreError::Busy)
    }

    async fn booked_since(
        &self,
        account_id: AccountId,
        subject: &str,
        channel: ContactChannel,
        from: Timestamp,
    ) -> StoreResult<Vec<BookedContact>> {
        let partition = values![account_id, subject.to_owned(), channel];
        let mut booked = ledger_of(self.select(READ, partition).await?)?.rows;
        booked.retain(|contact| contact.at > from);
        Ok(booked)
    }

    async fn forget(&self, account_id: AccountId, subject: &str) -> StoreResult<()> {
        for channel in ContactChannel::ALL {
            self.write(FORGET, values![account_id, subject.to_owned(), channel])
                .await?;
        }
        Ok(())
    }

    async fn release(&self, contact: Contact) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let ledger = ledger_of(self.select(READ, key(&contact)).await?)?;
            let Some(booked) = ledger.rows.iter().find(|booked| booked.key == contact.key) else {
                return Ok(());
            };
            let mut row = key(&contact);
            row.extend(values![booked.at, contact.key]);
            if self.move_on(&contact, &ledger, (RELEASE, row), false).await? {
                return Ok(());
            }
        }
        Err(StoreError::Busy)
    }
}

impl Scylla {
    /// Changes a ledger that is still as it was read. False when it is not; an outcome that is not known is looked up.
    async fn move_on(
        &self,
        contact: &Contact,
        ledger: &Ledger,
        change: (&'static str, Values),
        is_booking: bool,
    ) -> StoreResult<bool> {
        let next = ledger.revision.map_or(1, |revision| revision.saturating_add(1));
        let mut condition = values![TTL, next];
        condition.extend(key(contact));
        condition.extend(values![ledger.revision]);
        match self.conditional(vec![(MOVE, condition), change]).await? {
            Conditional::Applied => Ok(true),
            Conditional::Refused => Ok(false),
            Conditional::Unknown(_) => {
                let found = ledger_of(self.select_serially(READ, key(contact)).await?)?;
                Ok(found.holds(&contact.key) == is_booking)
            }
        }
    }
}

fn key(contact: &Contact) -> Values {
    values![contact.account_id, contact.subject, contact.channel]
}

fn ledger_of(rows: Vec<Row>) -> StoreResult<Ledger> {
    let mut ledger = Ledger {
        revision: None,
        rows: Vec::new(),
    };
    for mut row in rows {
        ledger.revision = row.take_if_any(2)?;
        // A partition whose rows are all gone still answers with its revision.
        if let Some(at) = row.take_if_any(0)? {
            let key = row.take(1)?;
            ledger.rows.push(BookedContact { at, key });
        }
    }
    Ok(ledger)
}
