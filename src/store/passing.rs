//! Which errors of the store will pass: whoever meets one waits and tries again.

use super::StoreError;

impl StoreError {
    /// Whether the database was away or full, so that the same may go well in a moment: nothing is wrong with what was asked.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::Unavailable(_) => true,
            Self::Missing { .. }
            | Self::Taken { .. }
            | Self::Moved { .. }
            | Self::Fenced { .. }
            | Self::BadCursor => false,
        }
    }
}
