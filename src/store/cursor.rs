//! Pages through lists, newest first, by the position of the last row seen.
//!
//! A position is a time and an id, so rows that arrive meanwhile neither shift nor repeat anything. Clients see it as an opaque
//! text that names its list: a cursor of another list is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    domain::resource::ResourceKind,
    store::{Page, PageRequest, StoreError, StoreResult},
};

const LIMIT_MAX: u32 = 200;
/// What a request without a limit gets.
const LIMIT_DEFAULT: u32 = 50;
const CURSOR_BYTES: usize = 1 + 8 + 16;

/// Which list a cursor belongs to. The number is in cursors that clients hold: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum List {
    Workflows,
    Runs,
    Leads,
    Calls,
    Timeline,
    Alerts,
    Tasks,
    Messages,
    Resources(ResourceKind),
}

impl List {
    pub(in crate::store) const fn tag(self) -> u8 {
        match self {
            Self::Workflows => 1,
            Self::Runs => 2,
            Self::Leads => 3,
            Self::Calls => 4,
            Self::Timeline => 5,
            Self::Alerts => 6,
            Self::Tasks => 7,
            Self::Messages => 8,
            Self::Resources(kind) => 100 + kind.number(),
        }
    }
}

/// A row's place in its list: descending by time, then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Position {
    pub(in crate::store) at: i64,
    pub(in crate::store) id: [u8; 16],
}

/// The part of a list that a request asks for: rows after `after`, at most `fetch` of them.
pub(in crate::store) struct Window {
    list: List,
    limit: usize,
    pub(in crate::store) after: Position,
    /// One more than the page holds: whether it comes tells if there is a next page.
    pub(in crate::store) fetch: i64,
}

impl Window {
    /// # Errors
    /// `BadCursor` for a cursor that is not ours or of another list.
    pub(in crate::store) fn of(list: List, request: &PageRequest) -> StoreResult<Self> {
        let limit = match request.limit {
            0 => LIMIT_DEFAULT,
            asked => asked.min(LIMIT_MAX),
        };
        let after = match &request.cursor {
            Some(text) => decode(list, text).ok_or(StoreError::BadCursor)?,
            None => Position {
                at: i64::MAX,
                id: [u8::MAX; 16],
            },
        };
        let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Self {
            list,
            limit: limit_rows,
            after,
            fetch: i64::from(limit) + 1,
        })
    }

    /// Makes the page of the rows that were fetched.
    pub(in crate::store) fn page<T>(&self, mut rows: Vec<(Position, T)>) -> Page<T> {
        let has_more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows
            .last()
            .filter(|_| has_more)
            .map(|(position, _)| encode(self.list, *position));
        Page {
            items: rows.into_iter().map(|(_, item)| item).collect(),
            next_cursor,
        }
    }

    /// Makes a page of what was found when the search was given up at `place`: the next page goes on there.
    pub(in crate::store) fn page_up_to<T>(&self, rows: Vec<(Position, T)>, place: Position) -> Page<T> {
        let page = self.page(rows);
        Page {
            next_cursor: page.next_cursor.or_else(|| Some(encode(self.list, place))),
            ..page
        }
    }
}

/// The cursor of a list that goes on behind a position.
pub(in crate::store) fn encode(list: List, position: Position) -> String {
    let mut bytes = [0_u8; CURSOR_BYTES];
    bytes[0] = list.tag();
    bytes[1..9].copy_from_slice(&position.at.to_be_bytes());
    bytes[9..].copy_from_slice(&position.id);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position of a cursor of this list.
pub(in crate::store) fn decode(list: List, text: &str) -> Option<Position> {
    let bytes: [u8; CURSOR_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let at = i64::from_be_bytes(bytes[1..9].try_into().ok()?);
    let id = bytes[9..].try_into().ok()?;
    (bytes[0] == list.tag()).then_some(Position { at, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_its_own_list_only() {
        let position = Position {
            at: 1_795_338_000_042,
            id: [7; 16],
        };
        let text = encode(List::Runs, position);
        assert_eq!(decode(List::Runs, &text), Some(position));
        assert_eq!(decode(List::Calls, &text), None);
        for wrong in ["", "x", "%%%", &text[1..]] {
            assert_eq!(decode(List::Runs, wrong), None, "{wrong:?}");
        }
    }
}
