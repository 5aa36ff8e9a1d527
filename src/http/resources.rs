//! What the doors of all resources share: one is shown, listed, made, changed and removed the same way, whatever it is.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    auth::Caller,
    context::Context,
    error::{ApiError, ApiResult, Created, FieldError},
    idempotency::RequestKey,
    json::Json,
    page::{PageQuery, Paged},
    patch,
    revision::IfMatch,
};
use crate::{
    domain::{
        ids::{AccountId, LeadId},
        lead::Lead,
        resource::{Eventful, Resource, ResourceKey},
    },
    store::{
        PageRequest, Recorded, StoreResult, kin,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
    },
};

/// Longest title.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest notes.
pub const NOTES_CHARS_MAX: usize = 10_000;
/// Longest of the other texts.
pub const TEXT_CHARS_MAX: usize = 500;
/// Most agents, and most numbers, of an account.
pub const PER_ACCOUNT_MAX: u32 = 200;
/// Largest sum, in minor units.
pub const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// An answer that says by its `ETag` which revision it shows.
pub struct Tagged<T>(pub T);

/// What counts its changes.
pub trait Revised {
    fn revision(&self) -> u64;
}

impl<T: Eventful> Revised for T {
    fn revision(&self) -> u64 {
        Eventful::revision(self)
    }
}

impl Revised for Lead {
    fn revision(&self) -> u64 {
        Self::revision(self)
    }
}

impl<T: Serialize + Revised> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        tagged(self.0.revision(), Json(self.0).into_response())
    }
}

fn tagged(revision: u64, mut response: Response) -> Response {
    // Digits in quotes are a header value.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Reads one.
///
/// # Errors
/// [`ApiError::Missing`] when the account has none with this id.
pub async fn find<T: Resource>(context: &Context, account_id: AccountId, id: ResourceKey) -> ApiResult<T> {
    let address = ResourceAddress::of::<T>(account_id, id);
    Ok(context.store.resources.get(address).await?.read()?)
}

/// Lists those that are wanted, newest first.
///
/// # Errors
/// When the page is none, or the list cannot be read.
pub async fn list<T: Resource>(
    context: &Context,
    account_id: AccountId,
    filter: (Option<LeadId>, Option<&'static str>),
    page: PageQuery,
) -> ApiResult<Json<Paged<T>>> {
    let ((lead, state), request) = (filter, page.request()?);
    let page = match lead {
        Some(lead) => {
            let leads = kin::ids_of(&context.store, account_id, lead).await?;
            kin::resources(&context.store, account_id, &leads, (T::KIND, state), request).await?
        }
        None => {
            let filter = ResourceFilter {
                state: state.map(str::to_owned),
                ..ResourceFilter::all(T::KIND)
            };
            context.store.resources.list(account_id, filter, request).await?
        }
    };
    let items: StoreResult<Vec<T>> = page.items.iter().map(ResourceRow::read).collect();
    Ok(Json(Paged {
        items: items?,
        next_cursor: page.next_cursor,
    }))
}

/// Makes one, with the events that follow.
///
/// # Errors
/// When it could not be kept.
pub async fn make<T: Eventful>(context: &Context, resource: T) -> ApiResult<Response> {
    Ok(made(context.resources.create(resource).await?))
}

/// Keeps one that nobody hears of, unless its id is taken.
///
/// # Errors
/// When it could not be kept.
pub async fn make_new<T: Resource>(context: &Context, resource: &T) -> ApiResult<Recorded> {
    Ok(context
        .store
        .resources
        .create(ResourceRow::first(resource)?)
        .await?)
}

/// The answer for one that was made.
pub fn made<T: Serialize + Revised>(resource: T) -> Response {
    tagged(resource.revision(), Created(resource).into_response())
}

/// One more of them may be made.
///
/// # Errors
/// [`ApiError::Conflict`] when the account has [`PER_ACCOUNT_MAX`].
pub async fn room_for<T: Resource>(context: &Context, account_id: AccountId) -> ApiResult<()> {
    let page = PageRequest {
        limit: PER_ACCOUNT_MAX,
        cursor: None,
    };
    let all = context
        .store
        .resources
        .list(account_id, ResourceFilter::all(T::KIND), page)
        .await?;
    if u32::try_from(all.items.len()).is_ok_and(|count| count < PER_ACCOUNT_MAX) {
        return Ok(());
    }
    let word = T::KIND.word();
    Err(ApiError::Conflict {
        code: "too_many",
        detail: format!("an account has at most {PER_ACCOUNT_MAX} of {word}s: remove one that is not used"),
    })
}

/// Changes one, with the events that follow. What `change` leaves as it was is not written.
///
/// # Errors
/// What `change` says; [`ApiError::Conflict`] when the caller has read another revision.
pub async fn change<T: Eventful>(
    context: &Context,
    caller: &Caller,
    id: ResourceKey,
    read_at: IfMatch,
    mut change: impl FnMut(T) -> ApiResult<T> + Send,
) -> ApiResult<Tagged<T>> {
    let changed = context
        .resources
        .change((caller.account_id, id), |before: &T| {
            read_at.check(None, T::KIND.word(), Eventful::revision(before))?;
            let after = change(before.clone())?;
            Ok::<_, ApiError>((after != *before).then_some(after))
        })
        .await?;
    Ok(Tagged(changed))
}

/// Removes one, after its events were heard.
///
/// # Errors
/// [`ApiError::Missing`] when the account has none with this id.
pub async fn remove<T: Resource>(context: &Context, account_id: AccountId, id: ResourceKey) -> ApiResult<()> {
    let address = ResourceAddress::of::<T>(account_id, id);
    Ok(context.resources.remove(address).await?)
}

/// The lead that `lead_id` names, if any, must be there.
///
/// # Errors
/// [`ApiError::Invalid`] when it is not.
pub async fn known_lead(context: &Context, account_id: AccountId, lead_id: Option<LeadId>) -> ApiResult<()> {
    let Some(lead_id) = lead_id else { return Ok(()) };
    let lead = context.store.leads.get(account_id, lead_id).await;
    lead.map(drop).map_err(|error| patch::reference("lead_id", error))
}

/// What a repeated request makes its id of: the same key is the same thing.
#[must_use]
pub fn parts_of<'a>(caller: &'a Caller, key: Option<&'a RequestKey>) -> Option<[&'a [u8]; 2]> {
    key.map(|key| [caller.account_id.as_bytes().as_slice(), key.0.as_bytes()])
}

/// Collects what is wrong with the fields of a body.
#[derive(Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// One more thing is wrong.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    /// A title: 1 to 200 characters.
    pub fn title(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() || text.chars().count() > TITLE_CHARS_MAX {
            self.wrong(
                field,
                format!("expected 1 to {TITLE_CHARS_MAX} characters, not all of them blank"),
            );
        }
    }

    /// A text that may be empty.
    pub fn text(&mut self, field: &str, text: &str, chars_max: usize) {
        if text.chars().count() > chars_max {
            self.wrong(field, format!("expected at most {chars_max} characters"));
        }
    }

    /// A sum in minor units and its currency.
    pub fn money(&mut self, amount: i64, currency: &str) {
        if !(0..=AMOUNT_MAX).contains(&amount) {
            self.wrong(
                "amount",
                format!("expected 0 to {AMOUNT_MAX}, in minor units: 12.50 is 1250"),
            );
        }
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.wrong("currency", "expected an ISO 4217 code in lower case, like `usd`");
        }
    }

    /// A web address.
    pub fn url(&mut self, field: &str, url: Option<&String>) {
        let Some(url) = url else { return };
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.chars().count() > 2_000 || url.contains(char::is_whitespace) {
            self.wrong(
                field,
                "expected a web address that begins with `https://`, of at most 2000 characters",
            );
        }
    }

    /// Everything holds.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] with all that does not.
    pub fn checked(self) -> ApiResult<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Invalid(self.0))
        }
    }
}
