//! Walks through a list page by page, in bounded memory.

use super::{Page, PageRequest, StoreResult};

/// Rows read at once.
const PAGE: u32 = 200;

/// How far a walk has come.
#[derive(Debug, Default)]
pub struct Walk {
    cursor: Option<String>,
    is_over: bool,
}

impl Walk {
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
