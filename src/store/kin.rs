//! Lists of a lead and of the duplicates that were merged into it, as one list.
//!
//! What was a duplicate's stays where it is, under the duplicate's id; whoever reads a lead's list reads theirs beside it. Pages of all of
//! them begin at the same place, so one cursor is enough.

use super::{
    Page, PageRequest, Store, StoreError, StoreResult,
    cursor::{List, Position, Window, decode},
    resources::{ResourceFilter, ResourceRow},
    runs::{RunFilter, RunHead},
};
use crate::domain::{
    ids::{AccountId, LeadId},
    observation::Observation,
    resource::ResourceKind,
    time::Timestamp,
};

/// The timeline of leads, newest first.
///
/// # Errors
/// As for the timeline of one.
pub async fn timeline(
    store: &Store,
    account: AccountId,
    leads: &[LeadId],
    request: PageRequest,
) -> StoreResult<Page<Observation>> {
    let facts = &store.observations;
    let read = |lead, page| facts.timeline(account, lead, page);
    let place = |fact: &Observation| position(fact.at, *fact.id.as_bytes());
    page_of(List::Timeline, leads, request, read, place).await
}

/// Facts about leads since `from` that are wanted, oldest first.
///
/// # Errors
/// As for the past of one.
pub async fn past(
    store: &Store,
    account: AccountId,
    leads: &[LeadId],
    from: Timestamp,
    is_wanted: &(dyn for<'f> Fn(&'f Observation) -> bool + Sync),
) -> StoreResult<Vec<Observation>> {
    let facts = &store.observations;
    let mut found: Vec<Observation> = Vec::new();
    for lead in leads {
        found.extend(facts.past_of_lead(account, *lead, from, is_wanted).await?);
    }
    found.sort_by_key(|fact| (fact.at, fact.id));
    found.dedup_by_key(|fact| fact.id);
    Ok(found)
}

/// The lead's own id and those of the duplicates that were merged into it; of one that is gone, the id that was given.
///
/// # Errors
/// When the store does not answer.
pub async fn ids_of(store: &Store, account: AccountId, id: LeadId) -> StoreResult<Vec<LeadId>> {
    match store.leads.get(account, id).await {
        Ok(lead) => Ok(lead.ids()),
        Err(StoreError::Missing { .. }) => Ok(vec![id]),
        Err(error) => Err(error),
    }
}

/// Runs about leads, newest first.
///
/// # Errors
/// As for the runs of one.
pub async fn runs(
    store: &Store,
    account: AccountId,
    leads: &[LeadId],
    filter: &RunFilter,
    request: PageRequest,
) -> StoreResult<Page<RunHead>> {
    let runs = &store.runs;
    let read = |lead, page| {
        let filter = RunFilter {
            lead_id: Some(lead),
            ..filter.clone()
        };
        runs.list(account, filter, page)
    };
    let place = |head: &RunHead| position(head.started_at, *head.id.as_bytes());
    page_of(List::Runs, leads, request, read, place).await
}

/// Resources of a kind that are grouped by one of the leads, newest first.
///
/// # Errors
/// As for those of one.
pub async fn resources(
    store: &Store,
    account: AccountId,
    leads: &[LeadId],
    (kind, state): (ResourceKind, Option<&str>),
    request: PageRequest,
) -> StoreResult<Page<ResourceRow>> {
    let resources = &store.resources;
    let read = |lead: LeadId, page| {
        let filter = ResourceFilter {
            state: state.map(str::to_owned),
            ..ResourceFilter::of_group(kind, *lead.as_bytes())
        };
        resources.list(account, filter, page)
    };
    let place = |row: &ResourceRow| position(row.at, row.id);
    page_of(List::Resources(kind), leads, request, read, place).await
}

fn position(at: Timestamp, id: [u8; 16]) -> Position {
    Position {
        at: i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX),
        id,
    }
}

/// One page of what several leads have.
async fn page_of<T, R>(
    list: List,
    leads: &[LeadId],
    request: PageRequest,
    read: impl Fn(LeadId, PageRequest) -> R,
    place: impl Fn(&T) -> Position,
) -> StoreResult<Page<T>>
where
    R: Future<Output = StoreResult<Page<T>>>,
{
    if let [lead] = leads {
        return read(*lead, request).await;
    }
    let window = Window::of(list, &request)?;
    let mut rows: Vec<(Position, T)> = Vec::new();
    // Behind this place at least one of the lists was not read.
    let mut read_up_to: Option<Position> = None;
    for lead in leads {
        let page = read(*lead, request.clone()).await?;
        let end = page.next_cursor.and_then(|cursor| decode(list, &cursor));
        read_up_to = read_up_to.max(end);
        rows.extend(page.items.into_iter().map(|item| (place(&item), item)));
    }
    rows.retain(|(position, _)| read_up_to.is_none_or(|end| *position >= end));
    rows.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    // A fact that was told of both stands in both lists.
    rows.dedup_by_key(|(position, _)| *position);
    Ok(match read_up_to {
        Some(end) => window.page_up_to(rows, end),
        None => window.page(rows),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of `at` that gives at most `most` a page, whatever was asked for.
    fn part(all: &[i64], most: usize, request: &PageRequest) -> StoreResult<Page<i64>> {
        let window = Window::of(List::Timeline, request)?;
        let behind = all.iter().filter(|at| spot(**at) < window.after);
        let rows: Vec<(Position, i64)> = behind.map(|at| (spot(*at), *at)).collect();
        if rows.len() > most {
            let end = rows[most - 1].0;
            return Ok(window.page_up_to(rows.into_iter().take(most).collect(), end));
        }
        Ok(window.page(rows))
    }

    const fn spot(at: i64) -> Position {
        Position { at, id: [0; 16] }
    }

    #[tokio::test]
    async fn several_lists_page_through_as_one_in_order_and_once() {
        let leads = [1, 2, 3].map(|number| LeadId::from_bytes([number; 16]));
        let lists: [Vec<i64>; 3] = [
            (1..60).rev().map(|at| at * 3).collect(),
            (1..10).rev().map(|at| at * 3 + 1).collect(),
            vec![177, 5],
        ];
        for limit in [1, 2, 7, 200] {
            let (mut cursor, mut seen) = (None, Vec::new());
            for _ in 0..500 {
                let request = PageRequest { limit, cursor };
                let read = |lead: LeadId, page: PageRequest| {
                    let place = usize::from(lead.as_bytes()[0]) - 1;
                    std::future::ready(part(&lists[place], 4, &page))
                };
                let page = page_of(List::Timeline, &leads, request, read, |at| spot(*at)).await;
                let page = page.expect("read");
                assert!(page.items.len() <= usize::try_from(limit).expect("small"));
                seen.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            let mut expected: Vec<i64> = lists.iter().flatten().copied().collect();
            expected.sort_unstable_by_key(|at| std::cmp::Reverse(*at));
            expected.dedup();
            assert_eq!(seen, expected, "by {limit}");
        }
    }
}
