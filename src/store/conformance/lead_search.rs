//! Leads are found by words, whole numbers and addresses, page by page.

use super::samples::{account_id, at, lead, lead_id};
use crate::{
    domain::lead::Lead,
    store::{Page, PageRequest, Store, StoreError, lead_search::LeadWords},
};

async fn find(store: &Store, text: &str, limit: u32, cursor: Option<String>) -> Page<Lead> {
    let words = LeadWords::of(text).expect("there are words");
    let request = PageRequest { limit, cursor };
    let found = store.leads.search(account_id(1), &words, request).await;
    found.expect("read")
}

fn ids(page: &Page<Lead>) -> Vec<u64> {
    let number = |lead: &Lead| (1..100).find(|number| lead_id(*number) == lead.id);
    page.items.iter().filter_map(number).collect()
}

pub(crate) async fn leads_are_found_by_words_newest_first_and_only_the_accounts_own(store: &Store) {
    for number in 1..=9 {
        let mut one = lead(account_id(1), number);
        if number % 3 == 0 {
            one.name = format!("Zoë Ölmann {number}");
        }
        store.leads.create(one).await.expect("written");
    }
    let mut foreign = lead(account_id(2), 30);
    foreign.name = "Zoë Elsewhere".to_owned();
    store.leads.create(foreign).await.expect("written");

    let all = find(store, "zoë ÖL", 50, None).await;
    assert_eq!((ids(&all), all.next_cursor), (vec![9, 6, 3], None));
    assert_eq!(ids(&find(store, "lead5@example", 50, None).await), [5]);
    assert_eq!(ids(&find(store, "555-0007", 50, None).await), [7]);
    assert_eq!(ids(&find(store, "elsewhere", 50, None).await), [0; 0]);

    // Page by page, the same in the same order.
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = find(store, "zoë", 1, cursor).await;
        assert!(page.items.len() <= 1);
        seen.extend(ids(&page));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, [9, 6, 3]);

    let words = LeadWords::of("zoë").expect("a word");
    let request = PageRequest {
        limit: 1,
        cursor: Some("nonsense".to_owned()),
    };
    let refused = store.leads.search(account_id(1), &words, request).await;
    assert!(matches!(refused, Err(StoreError::BadCursor)), "{refused:?}");
}

pub(crate) async fn whoever_has_exactly_that_number_or_address_is_found_first_and_once(store: &Store) {
    for number in 1..=4 {
        let mut one = lead(account_id(1), number);
        // Of two with one address the older is the index's; a third has it as part of its own.
        one.email = match number {
            1 | 3 => Some("Office@example.com".to_owned()),
            4 => Some("back-office@example.com".to_owned()),
            _ => one.email,
        };
        store.leads.create(one).await.expect("written");
    }
    assert_eq!(ids(&find(store, "+1 (415) 555-0002", 50, None).await), [2]);
    assert_eq!(ids(&find(store, "office@EXAMPLE.com", 50, None).await), [1, 4, 3]);
    let first = find(store, "office@example.com", 1, None).await;
    assert_eq!(ids(&first), [1]);
    let (mut seen, mut cursor) = (Vec::new(), first.next_cursor);
    while cursor.is_some() {
        let page = find(store, "office@example.com", 1, cursor).await;
        seen.extend(ids(&page));
        cursor = page.next_cursor;
    }
    assert_eq!(seen, [4, 3], "the first is not shown again");
}

pub(crate) async fn a_lead_is_found_by_what_its_merged_duplicates_had(store: &Store) {
    for number in 1..=3 {
        let one = lead(account_id(1), number);
        store.leads.create(one).await.expect("written");
    }
    let merged = store
        .leads
        .merge(account_id(1), lead_id(1), lead_id(2), at(9))
        .await;
    merged.expect("written").expect("there is room");
    for text in [
        "555-0002",
        "lead2@example.com",
        "lead2@",
        "+14155550002",
        "lead 0002",
    ] {
        assert_eq!(ids(&find(store, text, 50, None).await), [1], "{text}");
    }
    assert_eq!(ids(&find(store, "555", 50, None).await), [3, 1]);
}
