//! Shards: what a cluster shares out among its nodes. An id says by its last bytes which one it lives in.
//!
//! Everything about one lead lives in the lead's shard, so that one node at a time moves it. The number of shards is fixed for
//! ever: ids that exist would change their place with it.

use std::fmt;

use super::{
    ids::{AccountId, CallId, ImportId, LeadId, ObservationId, RunId, WorkflowId},
    observation::Observation,
};

/// How many shards there are.
pub const SHARDS: u16 = 256;

/// One of [`SHARDS`] parts of everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// Returns the shard with this number, or `None` when there is none.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        u8::try_from(number).ok().map(Self)
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// 0 to 255.
    #[must_use]
    pub fn number(self) -> u16 {
        u16::from(self.0)
    }

    /// The shard of an id's bytes: its last two, read as a number, modulo [`SHARDS`], which is the last one alone.
    #[must_use]
    pub const fn of(id: &[u8; 16]) -> Self {
        Self(id[15])
    }

    /// The id's bytes, changed so that they lie in this shard.
    const fn within(self, mut id: [u8; 16]) -> [u8; 16] {
        id[15] = self.0;
        id
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

macro_rules! sharded {
    ($($name:ty),+ $(,)?) => {$(
        impl $name {
            /// The shard that this lives in.
            #[must_use]
            pub fn shard(&self) -> Shard {
                Shard::of(self.as_bytes())
            }

            /// The same id moved to `shard`: the same id and shard always give the same one.
            #[must_use]
            pub fn in_shard(self, shard: Shard) -> Self {
                Self::from_bytes(shard.within(*self.as_bytes()))
            }
        }
    )+};
}

sharded!(
    AccountId,
    CallId,
    ImportId,
    LeadId,
    ObservationId,
    RunId,
    WorkflowId
);

impl Observation {
    /// The shard that looks after this fact: its lead's, or the one its own id has when it is about nobody.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.lead_id
            .map_or_else(|| self.id.shard(), |lead_id| lead_id.shard())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lies_in_the_shard_that_its_last_two_bytes_say() {
        for id in (0..1_000).map(|_| RunId::fresh()) {
            let bytes = id.as_bytes();
            let number = u16::from_be_bytes([bytes[14], bytes[15]]) % SHARDS;
            assert_eq!(Some(id.shard()), Shard::new(number));
        }
    }

    #[test]
    fn an_id_moves_to_any_shard_and_stays_itself_but_for_that() {
        let id = LeadId::fresh();
        for shard in Shard::all() {
            let moved = id.in_shard(shard);
            assert_eq!(moved.shard(), shard);
            assert_eq!(moved, id.in_shard(shard));
            assert_eq!(moved.in_shard(id.shard()), id);
        }
        assert_eq!(Shard::all().count(), usize::from(SHARDS));
        assert_eq!(Shard::new(SHARDS), None);
    }
}
