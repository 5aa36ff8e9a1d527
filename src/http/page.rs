//! Lists in parts: `?limit=&cursor=` in, `{"items": […], "next_cursor": …}` out.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::{
    error::{ApiError, ApiResult},
    json::Json,
};
use crate::store::{Page, PageRequest, StoreResult};

/// Entries of a page when nobody says.
pub const LIMIT_DEFAULT: u32 = 50;
/// Most entries a page may have.
pub const LIMIT_MAX: u32 = 200;
/// Longest cursor worth reading.
const CURSOR_BYTES_MAX: usize = 512;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    pub cursor: Option<String>,
}

/// Part of a list, newest first unless its description says otherwise.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Paged<T> {
    pub items: Vec<T>,
    /// Give it back as `cursor` for the next part; null at the end.
    pub next_cursor: Option<String>,
}

impl PageQuery {
    /// The store's words for it.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] for a limit of 0 or above [`LIMIT_MAX`], or a cursor that cannot be one.
    pub fn request(self) -> Result<PageRequest, ApiError> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(ApiError::field("limit", format!("expected 1 to {LIMIT_MAX}")));
        }
        if self
            .cursor
            .as_ref()
            .is_some_and(|cursor| cursor.len() > CURSOR_BYTES_MAX)
        {
            return Err(ApiError::field("cursor", "does not belong to this list"));
        }
        Ok(PageRequest {
            limit,
            cursor: self.cursor.filter(|cursor| !cursor.is_empty()),
        })
    }

    /// Answers with the part of the list that `read` gives for it.
    ///
    /// # Errors
    /// As for [`PageQuery::request`], and when the list cannot be read.
    pub async fn of<T, R>(self, read: impl FnOnce(PageRequest) -> R) -> ApiResult<Json<Paged<T>>>
    where
        R: Future<Output = StoreResult<Page<T>>>,
    {
        Ok(Json(read(self.request()?).await?.into()))
    }
}

impl<T> Paged<T> {
    /// Shows a stored page's entries as `T`.
    pub fn of<R>(page: Page<R>, show: impl FnMut(R) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(show).collect(),
            next_cursor: page.next_cursor,
        }
    }

    /// A list that always comes whole.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }
}

impl<T> From<Page<T>> for Paged<T> {
    fn from(page: Page<T>) -> Self {
        Self {
            items: page.items,
            next_cursor: page.next_cursor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_out_of_range_is_refused_and_none_is_fifty() {
        assert_eq!(PageQuery::default().request().expect("a page").limit, 50);
        for limit in [0, 201] {
            assert!(
                PageQuery {
                    limit: Some(limit),
                    cursor: None
                }
                .request()
                .is_err(),
                "{limit}"
            );
        }
        let endless = PageQuery {
            limit: None,
            cursor: Some("x".repeat(600)),
        };
        assert!(endless.request().is_err());
    }
}
