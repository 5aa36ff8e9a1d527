//! Contacts: booked once, counted across everything that reaches a person, given back when nothing was sent.

use std::time::Duration;

use super::samples::{account_id, at};
use crate::{
    domain::{consent::ContactChannel, time::Timestamp},
    store::{
        Store,
        contacts::{Booking, Contact, ContactCaps},
    },
};

const CAPS: ContactCaps = ContactCaps {
    per_day: 2,
    per_week: 3,
};
const DAY_S: u64 = 24 * 3_600;

fn contact(key: &str, moment: Timestamp) -> Contact {
    Contact {
        account_id: account_id(1),
        subject: "lead_1".to_owned(),
        channel: ContactChannel::Sms,
        key: key.to_owned(),
        at: moment,
    }
}

async fn book(store: &Store, key: &str, seconds: u64) -> Booking {
    store
        .contacts
        .book(contact(key, at(seconds)), CAPS)
        .await
        .expect("written")
}

pub(crate) async fn caps_of_a_day_and_a_week_hold_and_free_up(store: &Store) {
    assert_eq!(book(store, "a", 0).await, Booking::Booked { day: 1, week: 1 });
    assert_eq!(book(store, "b", 10).await, Booking::Booked { day: 2, week: 2 });
    let full = Booking::Full {
        count: 2,
        cap: 2,
        days: 1,
        frees_at: at(DAY_S),
    };
    assert_eq!(book(store, "c", 20).await, full);
    assert_eq!(
        book(store, "a", 30).await,
        Booking::Booked { day: 2, week: 2 },
        "a further attempt is no further contact"
    );
    assert_eq!(book(store, "c", DAY_S).await, Booking::Booked { day: 2, week: 3 });
    let full = Booking::Full {
        count: 3,
        cap: 3,
        days: 7,
        frees_at: at(7 * DAY_S),
    };
    assert_eq!(book(store, "d", 3 * DAY_S).await, full);
    assert_eq!(
        book(store, "d", 7 * DAY_S).await,
        Booking::Booked { day: 1, week: 3 }
    );
}

pub(crate) async fn a_contact_that_was_not_made_is_given_back(store: &Store) {
    book(store, "a", 0).await;
    book(store, "b", 1).await;
    store
        .contacts
        .release(contact("a", at(9)))
        .await
        .expect("written");
    assert_eq!(book(store, "c", 2).await, Booking::Booked { day: 2, week: 2 });
}

pub(crate) async fn what_is_booked_is_read_by_person_and_channel_from_a_moment_on(store: &Store) {
    for (key, seconds) in [("b", 10), ("a", 0), ("c", 20)] {
        book(store, key, seconds).await;
    }
    let read = |subject: &'static str, channel, from| async move {
        let contacts = &store.contacts;
        let booked = contacts.booked_since(account_id(1), subject, channel, from).await;
        let keys = booked
            .expect("read")
            .into_iter()
            .map(|contact| (contact.at, contact.key));
        keys.collect::<Vec<_>>()
    };
    let (a, b) = ((at(0), "a".to_owned()), (at(10), "b".to_owned()));
    let before_all = at(0).minus(Duration::from_secs(1));
    assert_eq!(
        read("lead_1", ContactChannel::Sms, before_all).await,
        [a, b.clone()],
        "the third found no room"
    );
    assert_eq!(read("lead_1", ContactChannel::Sms, at(0)).await, [b]);
    assert_eq!(read("lead_1", ContactChannel::Call, before_all).await, []);
    assert_eq!(read("lead_2", ContactChannel::Sms, before_all).await, []);
}

pub(crate) async fn other_people_channels_and_accounts_have_their_own_count(store: &Store) {
    book(store, "a", 0).await;
    book(store, "b", 1).await;
    let first = contact("c", at(2));
    for other in [
        Contact {
            subject: "lead_2".to_owned(),
            ..first.clone()
        },
        Contact {
            channel: ContactChannel::Email,
            ..first.clone()
        },
        Contact {
            account_id: account_id(2),
            ..first
        },
    ] {
        let booked = store.contacts.book(other, CAPS).await.expect("written");
        assert_eq!(booked, Booking::Booked { day: 1, week: 1 });
    }
}

pub(crate) async fn of_many_at_once_only_as_many_as_the_cap_are_booked(store: &Store) {
    let caps = ContactCaps {
        per_day: 5,
        per_week: 0,
    };
    let bookings = (0..40).map(|number| {
        let store = store.clone();
        let contact = contact(&format!("k{number}"), at(0).plus(Duration::from_millis(number)));
        tokio::spawn(async move { store.contacts.book(contact, caps).await })
    });
    let mut booked = 0;
    for booking in bookings.collect::<Vec<_>>() {
        match booking.await.expect("the task ends by itself").expect("written") {
            Booking::Booked { .. } => booked += 1,
            Booking::Full { cap, .. } => assert_eq!(cap, 5),
        }
    }
    assert_eq!(booked, 5);
}
