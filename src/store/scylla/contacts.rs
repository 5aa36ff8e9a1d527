//! Contacts in CQL: one partition for a person and a channel, with a revision that every booking moves on.
//!
//! A booking reads the last seven days, counts, and adds its row on condition that the revision is the one it read: counting and
//! booking are one step, whoever else books. What no cap looks back on any more goes by its time to live, with the revision.

use std::time::Duration;

use async_trait::async_trait;

use super::{
    fields::{Int, Row, Values, values},
    revised::TRIES_MAX,
    rows::{Conditional, Scylla},
};
use crate::{
    domain::time::Timestamp,
    store::{
        ContactStore, StoreError, StoreResult,
        contacts::{Booking, Contact, ContactCaps},
    },
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// A day longer than any cap looks back.
const TTL: Int = Int(8 * 24 * 3_600);

const READ: &str = "SELECT at, key, revision FROM contacts WHERE account = ? AND subject = ? AND channel = ?";
const MOVE: &str = "UPDATE contacts USING TTL ? SET revision = ? WHERE account = ? AND subject = ? AND channel = ? IF revision = ?";
const BOOK: &str =
    "INSERT INTO contacts (account, subject, channel, at, key) VALUES (?, ?, ?, ?, ?) USING TTL ?";
const RELEASE: &str =
    "DELETE FROM contacts WHERE account = ? AND subject = ? AND channel = ? AND at = ? AND key = ?";

/// A person's contacts by one channel, oldest first.
struct Ledger {
    revision: Option<u64>,
    rows: Vec<(Timestamp, String)>,
}

#[async_trait]
impl ContactStore for Scylla {
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking> {
        for _ in 0..TRIES_MAX {
            let ledger = ledger_of(self.select(READ, key(&contact)).await?)?;
            let (booking, is_fresh) = judge(&ledger, &contact, caps);
            if !is_fresh {
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

    async fn release(&self, contact: Contact) -> StoreResult<()> {
        for _ in 0..TRIES_MAX {
            let ledger = ledger_of(self.select(READ, key(&contact)).await?)?;
            let Some((at, _)) = ledger.rows.iter().find(|(_, key)| *key == contact.key) else {
                return Ok(());
            };
            let mut row = key(&contact);
            row.extend(values![at, contact.key]);
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
                Ok(found.rows.iter().any(|(_, key)| *key == contact.key) == is_booking)
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
            ledger.rows.push((at, row.take(1)?));
        }
    }
    Ok(ledger)
}

/// What a booking leads to, and whether it is to be written.
fn judge(ledger: &Ledger, contact: &Contact, caps: ContactCaps) -> (Booking, bool) {
    let within = |span: Duration| -> Vec<&(Timestamp, String)> {
        let counts = |row: &&(Timestamp, String)| contact.at.since(row.0) < span;
        ledger.rows.iter().filter(counts).collect()
    };
    let (day, week) = (within(DAY), within(WEEK));
    if week.iter().any(|(_, key)| *key == contact.key) {
        let (day, week) = (count(&day), count(&week));
        return (Booking::Booked { day, week }, false);
    }
    for (rows, cap, span, days) in [(&day, caps.per_day, DAY, 1), (&week, caps.per_week, WEEK, 7)] {
        let oldest = rows.len().checked_sub(usize::try_from(cap).unwrap_or(usize::MAX));
        if cap > 0
            && let Some((at, _)) = oldest.and_then(|oldest| rows.get(oldest))
        {
            let full = Booking::Full {
                count: count(rows),
                cap,
                days,
                frees_at: at.plus(span),
            };
            return (full, false);
        }
    }
    let booked = Booking::Booked {
        day: count(&day) + 1,
        week: count(&week) + 1,
    };
    (booked, true)
}

fn count<T>(rows: &[T]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}
