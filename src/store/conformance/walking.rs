//! Walks that begin at a moment: what is older than it, newest first, and nothing of another account.

use std::time::Duration;

use super::samples::{account_id, at, call, call_id, message, message_id};
use crate::{
    domain::{call::CallStatus, ids::AccountId, time::Timestamp},
    store::{Page, PageRequest, Store, StoreResult, walking::Walk},
};

const MONTH_S: u64 = 31 * 24 * 3_600;
/// Rows of one page: fewer than there are, and fewer than stand at one moment.
const PAGE: u32 = 2;

/// The moment that the walks begin at.
fn moment() -> Timestamp {
    at(4 * MONTH_S)
}

/// When rows are made: before the moment, at it and after it, in several months.
fn made() -> Vec<Timestamp> {
    let just_before = moment().minus(Duration::from_millis(1));
    vec![
        at(1),
        at(MONTH_S),
        just_before,
        just_before,
        just_before,
        moment(),
        moment().plus(Duration::from_millis(1)),
        at(6 * MONTH_S),
    ]
}

/// Every row with whose it is: a row of another account stands beside each of the first one's.
fn rows() -> impl Iterator<Item = (u64, AccountId, Timestamp)> {
    (0..)
        .zip(made())
        .flat_map(|(number, at)| [(number, account_id(1), at), (number + 100, account_id(2), at)])
}

/// What a walk of small pages meets, in its order.
async fn met<T, R>(walk: Walk, read: impl Fn(PageRequest) -> R) -> Vec<T>
where
    R: Future<Output = StoreResult<Page<T>>>,
{
    let (mut cursor, mut met) = (walk.into_cursor(), Vec::new());
    assert!(cursor.is_some(), "it begins somewhere");
    while let Some(from) = cursor.take() {
        let request = PageRequest {
            limit: PAGE,
            cursor: Some(from),
        };
        let page = read(request).await.expect("read");
        met.extend(page.items);
        cursor = page.next_cursor;
    }
    met
}

/// Numbers of the rows that are older than the moment, newest first; those of one moment in the order of their ids.
fn older<I: Ord>(id: impl Fn(u64) -> I) -> Vec<I> {
    let mut older: Vec<_> = rows()
        .filter(|(_, account, at)| *account == account_id(1) && *at < moment())
        .map(|(number, _, at)| (at, id(number)))
        .collect();
    older.sort_unstable();
    older.into_iter().rev().map(|(_, id)| id).collect()
}

pub(crate) async fn calls_that_began_before_a_moment_are_met_newest_first(store: &Store) {
    for (number, account, started_at) in rows() {
        let mut begun = call(account, number, CallStatus::Completed);
        begun.started_at = started_at;
        store.calls.save(begun, 1).await.expect("written");
    }
    let met = met(Walk::calls_before(moment()), |page| {
        store.calls.list(account_id(1), page)
    });
    let met: Vec<_> = met.await.into_iter().map(|call| call.id).collect();
    assert_eq!(met, older(call_id));
    let nothing = store
        .calls
        .list(account_id(1), first_page(Walk::calls_before(at(0))));
    assert_eq!(nothing.await.expect("read").items, []);
}

pub(crate) async fn messages_that_were_made_before_a_moment_are_met_newest_first(store: &Store) {
    for (number, account, created_at) in rows() {
        let mut made = message(account, number);
        made.created_at = created_at;
        store.messages.record(made).await.expect("written");
    }
    let met = met(Walk::messages_before(moment()), |page| {
        store.messages.list(account_id(1), page)
    });
    let met: Vec<_> = met.await.into_iter().map(|message| message.id).collect();
    assert_eq!(met, older(message_id));
    let nothing = store
        .messages
        .list(account_id(1), first_page(Walk::messages_before(at(0))));
    assert_eq!(nothing.await.expect("read").items, []);
}

fn first_page(walk: Walk) -> PageRequest {
    PageRequest {
        limit: PAGE,
        cursor: walk.into_cursor(),
    }
}
