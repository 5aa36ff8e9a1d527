//! Tickets: secrets that work once, for a short time, in this process only.
//!
//! One opens a WebSocket where no header can be sent; one signs in the browser that `patchcord dev` opens.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::token::{self, TokenHash, TokenKind};
use crate::{
    domain::{secret::Secret, time::Timestamp},
    http::error::ApiError,
};

/// Most tickets out at a time; beyond that the one that ends first is dropped.
const TICKETS_MAX: usize = 10_000;

/// The name a ticket has where nodes share tickets: nobody who reads it there can use it.
#[must_use]
pub fn name_of(ticket: &str) -> String {
    URL_SAFE_NO_PAD.encode(token::hash(ticket))
}

/// Tickets that are out, each with what it stands for.
pub struct TicketOffice<T> {
    open: Mutex<BTreeMap<TokenHash, (Timestamp, T)>>,
}

impl<T> Default for TicketOffice<T> {
    fn default() -> Self {
        Self {
            open: Mutex::new(BTreeMap::new()),
        }
    }
}

impl<T> TicketOffice<T> {
    /// Hands out a ticket for `holder` that ends after `life`.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when no random bytes can be had.
    pub fn issue(&self, holder: T, now: Timestamp, life: Duration) -> Result<Secret, ApiError> {
        let ticket = token::draw(TokenKind::Ticket)?;
        let mut open = self
            .open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if open.len() >= TICKETS_MAX {
            open.retain(|_, (until, _)| *until > now);
        }
        if open.len() >= TICKETS_MAX {
            let first_to_end = open
                .iter()
                .min_by_key(|(_, (until, _))| *until)
                .map(|(hash, _)| *hash);
            first_to_end.map(|hash| open.remove(&hash));
        }
        open.insert(token::hash(ticket.expose()), (now.plus(life), holder));
        Ok(ticket)
    }

    /// Takes a ticket back and returns its holder; `None` when it is unknown, used or over.
    #[must_use]
    pub fn redeem(&self, ticket: &str, now: Timestamp) -> Option<T> {
        let mut open = self
            .open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (until, holder) = open.remove(&token::hash(ticket))?;
        (until > now).then_some(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Duration = Duration::from_secs(30);

    #[test]
    fn a_ticket_works_once_and_not_after_its_time() {
        let office = TicketOffice::default();
        let now = Timestamp::from_unix_millis(1_000);
        let ticket = office.issue("ann", now, LIFE).expect("a ticket");
        assert_eq!(office.redeem(ticket.expose(), now), Some("ann"));
        assert_eq!(office.redeem(ticket.expose(), now), None);
        let late = office.issue("ann", now, LIFE).expect("a ticket");
        assert_eq!(office.redeem(late.expose(), now.plus(LIFE)), None);
    }

    #[test]
    fn the_office_never_holds_more_than_its_bound() {
        let office = TicketOffice::default();
        let now = Timestamp::from_unix_millis(1_000);
        for _ in 0..=TICKETS_MAX {
            office.issue((), now, LIFE).expect("a ticket");
        }
        assert_eq!(office.open.lock().expect("no panic before").len(), TICKETS_MAX);
    }
}
