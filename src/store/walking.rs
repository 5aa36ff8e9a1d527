//! Walks through a list page by page, in bounded memory.

use super::{
    Page, PageRequest, StoreResult,
    cursor::{List, Position, encode},
};
use crate::domain::time::Timestamp;

/// Rows read at once.
const PAGE: u32 = 200;

/// How far a walk has come.
#[derive(Debug, Default)]
pub struct Walk {
    cursor: Option<String>,
    is_over: bool,
}

impl From<String> for Walk {
    /// Goes on where a walk through the same list came to.
    fn from(cursor: String) -> Self {
        Self {
            cursor: Some(cursor),
            is_over: false,
        }
    }
}

impl Walk {
    /// Through an account's calls that began before `at`.
    #[must_use]
    pub fn calls_before(at: Timestamp) -> Self {
        Self::from(encode(List::Calls, before(at)))
    }

    /// Through an account's messages that were made before `at`.
    #[must_use]
    pub fn messages_before(at: Timestamp) -> Self {
        Self::from(encode(List::Messages, before(at)))
    }

    /// Whether there is nothing behind what was read.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Where it goes on; nothing at the beginning and at the end.
    #[must_use]
    pub fn into_cursor(self) -> Option<String> {
        self.cursor
    }

    /// Reads the next page; `None` at the end. A page may be empty and still have one behind it.
    ///
    /// # Errors
    /// What `read` says.
    pub async fn next<T, R>(&mut self, read: impl FnOnce(PageRequest) -> R) -> StoreResult<Option<Vec<T>>>
    where
        R: Future<Output = StoreResult<Page<T>>>,
    {
        if self.is_over {
            return Ok(None);
        }
        let cursor = self.cursor.take();
        let page = read(PageRequest { limit: PAGE, cursor }).await?;
        self.is_over = page.next_cursor.is_none();
        self.cursor = page.next_cursor;
        Ok(Some(page.items))
    }
}

/// The position before everything of a moment.
fn before(at: Timestamp) -> Position {
    Position {
        at: i64::try_from(at.as_unix_millis()).unwrap_or(i64::MAX),
        id: [0; 16],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_walk_ends_behind_the_last_page_and_not_at_an_empty_one() {
        let pages = [(vec![1, 2], Some("a")), (vec![], Some("b")), (vec![3], None)];
        let (mut walk, mut seen) = (Walk::default(), Vec::new());
        for (items, next) in pages {
            let page = Page {
                items,
                next_cursor: next.map(str::to_owned),
            };
            let read = walk.next(|_| std::future::ready(Ok(page))).await;
            seen.extend(read.expect("read").expect("a page"));
        }
        let nothing = walk.next(|_| async { panic!("asked behind the end") });
        let nothing: Option<Vec<i32>> = nothing.await.expect("read");
        assert_eq!((seen, nothing), (vec![1, 2, 3], None));
    }
}
