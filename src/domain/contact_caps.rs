//! Caps: how many messages or calls one person may get by one channel in a stretch of time.
//!
//! In: the contacts so far. Out: whether there is room for one more. The stores ask it in the write that books a contact, a dry
//! run about the contacts it believes in.

use std::time::Duration;

use super::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long a contact counts: no cap looks further back.
pub const CONTACT_LIFE: Duration = WEEK;

/// How many contacts of one person by one channel are allowed. 0: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactCaps {
    /// In any 24 hours.
    pub per_day: u32,
    /// In any 7 days.
    pub per_week: u32,
}

/// One contact that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedContact {
    pub at: Timestamp,
    /// The effect's key: every attempt of one effect is one contact.
    pub key: String,
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

impl ContactCaps {
    /// Whether there is room at `at` for the contact under `key` beside those before it, oldest first. One that is among them is
    /// booked already and not counted twice.
    #[must_use]
    pub fn room_for(self, key: &str, at: Timestamp, before: &[BookedContact]) -> Booking {
        let within = |span: Duration| -> Vec<&BookedContact> {
            let counts = |contact: &&BookedContact| at.since(contact.at) < span;
            before.iter().filter(counts).collect()
        };
        let (day, week) = (within(DAY), within(WEEK));
        if week.iter().any(|contact| contact.key == key) {
            return Booking::Booked {
                day: count(&day),
                week: count(&week),
            };
        }
        for (contacts, cap, span, days) in [(&day, self.per_day, DAY, 1), (&week, self.per_week, WEEK, 7)] {
            let over = count(contacts).saturating_sub(cap);
            // With more than the cap, as after it was lowered, several have to pass.
            let last_to_pass = usize::try_from(over).ok().and_then(|over| contacts.get(over));
            if let Some(contact) = last_to_pass.filter(|_| cap > 0 && count(contacts) >= cap) {
                return Booking::Full {
                    count: count(contacts),
                    cap,
                    days,
                    frees_at: contact.at.plus(span),
                };
            }
        }
        Booking::Booked {
            day: count(&day) + 1,
            week: count(&week) + 1,
        }
    }
}

fn count(contacts: &[&BookedContact]) -> u32 {
    u32::try_from(contacts.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn at_hour(hour: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_795_000_000_000 + hour * HOUR_MS)
    }

    fn booked(hours: &[u64]) -> Vec<BookedContact> {
        let contact = |hour: &u64| BookedContact {
            at: at_hour(*hour),
            key: format!("k{hour}"),
        };
        hours.iter().map(contact).collect()
    }

    #[test]
    fn a_cap_that_was_lowered_frees_up_only_when_there_are_fewer_than_it() {
        let caps = ContactCaps {
            per_day: 1,
            per_week: 0,
        };
        let full = Booking::Full {
            count: 3,
            cap: 1,
            days: 1,
            frees_at: at_hour(2 + 24),
        };
        assert_eq!(caps.room_for("new", at_hour(3), &booked(&[0, 1, 2])), full);
        let room = Booking::Booked { day: 1, week: 4 };
        assert_eq!(caps.room_for("new", at_hour(2 + 24), &booked(&[0, 1, 2])), room);
    }

    #[test]
    fn without_a_cap_there_is_always_room_and_an_attempt_counts_once() {
        let none = ContactCaps::default();
        let before = booked(&[0, 1]);
        let next = Booking::Booked { day: 3, week: 3 };
        assert_eq!(none.room_for("new", at_hour(2), &before), next);
        let again = Booking::Booked { day: 2, week: 2 };
        assert_eq!(none.room_for("k1", at_hour(2), &before), again);
        let tight = ContactCaps {
            per_day: 1,
            per_week: 1,
        };
        assert_eq!(
            tight.room_for("k1", at_hour(2), &before),
            again,
            "it went out already"
        );
    }
}
