//! Contacts in SQLite: one row a booking, forgotten when no cap looks back on it any more.

use async_trait::async_trait;
use rusqlite::Connection;

use super::database::Sqlite;
use crate::{
    domain::{
        consent::ContactChannel,
        contact_caps::{BookedContact, CONTACT_LIFE},
        ids::AccountId,
        time::Timestamp,
    },
    store::{
        ContactStore, StoreResult,
        contacts::{Booking, Contact, ContactCaps},
    },
};

#[async_trait]
impl ContactStore for Sqlite {
    async fn book(&self, contact: Contact, caps: ContactCaps) -> StoreResult<Booking> {
        self.write(move |db| book(db, &contact, caps)).await
    }

    async fn booked_since(
        &self,
        account_id: AccountId,
        subject: &str,
        channel: ContactChannel,
        from: Timestamp,
    ) -> StoreResult<Vec<BookedContact>> {
        let subject = subject.to_owned();
        self.read(move |db| since(db, account_id, &subject, channel, from))
            .await
    }

    async fn forget(&self, account_id: AccountId, subject: &str) -> StoreResult<()> {
        let subject = subject.to_owned();
        self.write(move |db| {
            db.prepare_cached("DELETE FROM contacts WHERE account = ?1 AND subject = ?2")?
                .execute((account_id, subject))?;
            Ok(())
        })
        .await
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
    let oldest = contact.at.minus(CONTACT_LIFE);
    db.prepare_cached(
        "DELETE FROM contacts WHERE account = ?1 AND subject = ?2 AND channel = ?3 AND at <= ?4",
    )?
    .execute((contact.account_id, &contact.subject, contact.channel, oldest))?;
    let before = since(db, contact.account_id, &contact.subject, contact.channel, oldest)?;
    let booking = caps.room_for(&contact.key, contact.at, &before);
    let is_new = before.iter().all(|booked| booked.key != contact.key);
    if is_new && matches!(booking, Booking::Booked { .. }) {
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
    }
    Ok(booking)
}

/// A person's contacts by a channel after `from`, oldest first.
fn since(
    db: &Connection,
    account_id: AccountId,
    subject: &str,
    channel: ContactChannel,
    from: Timestamp,
) -> StoreResult<Vec<BookedContact>> {
    let mut statement = db.prepare_cached(
        "SELECT at, key FROM contacts WHERE account = ?1 AND subject = ?2 AND channel = ?3 AND at > ?4 ORDER BY at, key",
    )?;
    let rows = statement.query_map((account_id, subject, channel, from), |row| {
        Ok(BookedContact {
            at: row.get(0)?,
            key: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
