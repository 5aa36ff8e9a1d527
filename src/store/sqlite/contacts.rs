//! Contacts in SQLite: one row a booking, forgotten when no cap looks back on it any more.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::{columns::millis, database::Sqlite};
use crate::{
    domain::time::Timestamp,
    store::{
        ContactStore, StoreResult,
        contacts::{Booking, Contact, ContactCaps},
    },
};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);

#[async_trait]
impl ContactStore for Sqlite {
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking> {
        self.write(move |db| book(db, &contact, caps)).await
    }

    async fn release(&self, contact: Contact) -> StoreResult<()> {
        self.write(move |db| {
            db.prepare_cached(
                "DELETE FROM contacts WHERE account = ?1 AND subject = ?2 AND channel = ?3 AND key = ?4",
            )?
            .execute((
                contact.account_id,
                &contact.subject,
                contact.channel,
                &contact.key,
            ))?;
            Ok(())
        })
        .await
    }
}

fn book(db: &Connection, contact: &Contact, caps: ContactCaps) -> StoreResult<Booking> {
    forget_old(db, contact)?;
    let week = since(db, contact, WEEK)?;
    let day: Vec<_> = week
        .iter()
        .filter(|(at, _)| contact.at.since(*at) < DAY)
        .cloned()
        .collect();
    let is_booked = week.iter().any(|(_, key)| *key == contact.key);
    if is_booked {
        return Ok(Booking::Booked {
            day: count(&day),
            week: count(&week),
        });
    }
    for (rows, cap, span, days) in [(&day, caps.per_day, DAY, 1), (&week, caps.per_week, WEEK, 7)] {
        if cap > 0
            && count(rows) >= cap
            && let Some((oldest, _)) = rows.get(
                rows.len()
                    .saturating_sub(usize::try_from(cap).unwrap_or(usize::MAX)),
            )
        {
            return Ok(Booking::Full {
                count: count(rows),
                cap,
                days,
                frees_at: oldest.plus(span),
            });
        }
    }
    db.prepare_cached(
        "INSERT INTO contacts (account, subject, channel, at, key) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        contact.account_id,
        &contact.subject,
        contact.channel,
        contact.at,
        &contact.key,
    ))?;
    Ok(Booking::Booked {
        day: count(&day) + 1,
        week: count(&week) + 1,
    })
}

fn forget_old(db: &Connection, contact: &Contact) -> StoreResult<()> {
    let oldest = millis(contact.at).saturating_sub(millis(Timestamp::default().plus(WEEK)));
    db.prepare_cached(
        "DELETE FROM contacts WHERE account = ?1 AND subject = ?2 AND channel = ?3 AND at <= ?4",
    )?
    .execute((contact.account_id, &contact.subject, contact.channel, oldest))?;
    Ok(())
}

/// The person's contacts by the channel within `span` before this one, oldest first.
fn since(db: &Connection, contact: &Contact, span: Duration) -> StoreResult<Vec<(Timestamp, String)>> {
    let from = millis(contact.at).saturating_sub(millis(Timestamp::default().plus(span)));
    let mut statement = db.prepare_cached(
        "SELECT at, key FROM contacts WHERE account = ?1 AND subject = ?2 AND channel = ?3 AND at > ?4 ORDER BY at, key",
    )?;
    let rows = statement.query_map(
        (contact.account_id, &contact.subject, contact.channel, from),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn count(rows: &[(Timestamp, String)]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}
