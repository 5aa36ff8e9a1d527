//! The token that makes the first administrator of a fresh server, printed once by `patchcord serve`.
//!
//! Nobody owns a server by being the first to open its page: the token is on the operator's terminal only.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::token::{self, TokenKind};
use crate::{domain::secret::Secret, http::error::ApiError};

/// The token while there is no administrator. Cheap to clone; every clone is the same door.
#[derive(Clone, Default)]
pub struct SetupDoor {
    expected: Arc<Mutex<Option<Secret>>>,
}

impl SetupDoor {
    /// Draws the token and opens the door; an earlier token no longer works.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when no random bytes can be had.
    pub fn open(&self) -> Result<Secret, ApiError> {
        let setup = token::draw(TokenKind::Setup)?;
        *self.lock() = Some(setup.clone());
        Ok(setup)
    }

    /// Takes the token in exchange for the right to make the first administrator. Only one caller ever gets it.
    #[must_use]
    pub fn enter(&self, setup: &str) -> bool {
        // Hashes are compared, so that the time taken says nothing about how much of a guess was right.
        let given = token::hash(setup);
        self.lock()
            .take_if(|expected| token::hash(expected.expose()) == given)
            .is_some()
    }

    /// Makes the token work again: the administrator could not be made after all.
    pub fn reopen(&self, setup: &str) {
        *self.lock() = Some(Secret::new(setup.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Secret>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setup_token_lets_one_in() {
        let door = SetupDoor::default();
        assert!(!door.enter(""));
        let setup = door.open().expect("a token");
        assert!(!door.enter("pcs_guess"));
        assert!(door.enter(setup.expose()));
        assert!(!door.enter(setup.expose()));
        door.reopen(setup.expose());
        assert!(door.clone().enter(setup.expose()));
    }
}
