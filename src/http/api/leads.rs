//! Leads: the people outside, and everything known to have happened with them.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::lead_rules;
use crate::{
    clock,
    domain::{
        consent::{Consent, ConsentChange, ContactChannel, OptOutChange, Standing},
        ids::{AccountId, CallId, LeadId, ObservationId, RunId},
        lead::{self, EditBy, KeyedEdit, Lead, LeadEdit},
        observation::{EventType, Observation},
        phone::PhoneNumber,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult, Created, Done},
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        patch::{self, Patch},
        resources::Tagged,
        revision::IfMatch,
    },
    store::{kin, lead_search::LeadWords},
};

/// Longest text that is looked for.
const QUERY_CHARS_MAX: usize = 100;

/// Which leads are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LeadQuery {
    /// Most entries to return.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(max_length = 512)]
    cursor: Option<String>,
    /// Only the lead with this phone number, in E.164 form; a space stands for the plus sign.
    #[param(pattern = r"^[+ ][1-9][0-9]{6,14}$", example = "+14155550100")]
    phone: Option<String>,
    /// Only the lead with this e-mail address.
    #[param(format = "email", min_length = 3, max_length = 254)]
    email: Option<String>,
    /// Only leads in whose names, e-mail addresses and phone numbers every one of these words is found. Not together with `phone` or `email`.
    #[param(min_length = 1, max_length = 100, example = "ann 0123")]
    q: Option<String>,
}

/// A lead to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLead {
    #[serde(default)]
    #[schema(max_length = 200)]
    name: String,
    #[schema(value_type = Option<String>, example = "+14155550100")]
    phone: Option<PhoneNumber>,
    #[schema(format = "email", min_length = 3, max_length = 254)]
    email: Option<String>,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    score: i32,
    /// `new` when left out.
    #[schema(min_length = 1, max_length = 50)]
    stage: Option<String>,
    /// IANA time zone.
    #[schema(example = "America/New_York", max_length = 64)]
    timezone: Option<String>,
    #[serde(default)]
    opted_out: bool,
    /// What the opt-out covers; empty: everything.
    #[serde(default)]
    opted_out_of: BTreeSet<ContactChannel>,
    /// What the person allowed.
    #[serde(default)]
    consent: Consent,
    /// The account's own fields.
    #[serde(default)]
    fields: BTreeMap<String, Value>,
}

/// What to change about a lead; what is left out stays, `null` empties.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeadChange {
    #[schema(max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>)]
    phone: Patch<PhoneNumber>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, format = "email", min_length = 3, max_length = 254)]
    email: Patch<String>,
    #[schema(minimum = 0, maximum = 100)]
    score: Option<i32>,
    #[schema(min_length = 1, max_length = 50)]
    stage: Option<String>,
    #[serde(default, deserialize_with = "patch::present")]
    #[schema(value_type = Option<String>, max_length = 64)]
    timezone: Patch<String>,
    /// `true` opts out of everything, `false` lifts every opt-out.
    opted_out: Option<bool>,
    /// Opts out of exactly these channels; an empty list lifts every opt-out. Not together with `opted_out`.
    opted_out_of: Option<BTreeSet<ContactChannel>>,
    /// What the person allowed; a channel that is left out stays.
    consent: Option<ConsentPatch>,
    /// Fields to set; `null` removes one, others stay.
    #[schema(value_type = Option<BTreeMap<String, Value>>)]
    fields: Option<BTreeMap<String, Value>>,
}

/// What to change about a person's consent.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentPatch {
    sms: Option<Standing>,
    call: Option<Standing>,
    email: Option<Standing>,
}

/// One thing that happened with a lead.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TimelineEntry {
    id: ObservationId,
    /// The dotted name of the fact.
    #[serde(rename = "type")]
    #[schema(example = "call.no_answer")]
    kind: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    call_id: Option<CallId>,
    /// The run whose effect led to it, when one did.
    caused_by: Option<RunId>,
    /// What is known about it.
    data: Value,
}

impl From<Observation> for TimelineEntry {
    fn from(seen: Observation) -> Self {
        let Observation {
            id,
            account_id: _,
            kind,
            at,
            lead_id: _,
            call_id,
            caused_by,
            trace: _,
            data,
        } = seen;
        Self {
            id,
            kind: kind.as_str().to_owned(),
            at,
            call_id,
            caused_by,
            data,
        }
    }
}

/// List leads, newest first
///
/// With `phone` or `email` the list holds the one lead that has it, or nobody. What a merged duplicate had is the lead's (`merged`).
///
/// With `q` the list holds whoever has each of its words somewhere in name, e-mail address or phone number, in whatever case; a word of digits is looked for
/// among the digits of the number. A whole number with its country, or a whole address, is found at once and comes first. Everything else is looked through,
/// newest first, 2,000 leads a page: a page may be short, even empty, and still have a `next_cursor`, with which the search goes on.
#[utoipa::path(get, path = "/api/leads", tag = "leads", operation_id = "listLeads", params(LeadQuery),
    responses((status = 200, description = "A page of leads.", body = Paged<Lead>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<LeadQuery>,
) -> ApiResult<Json<Paged<Lead>>> {
    caller.must(Permission::Read)?;
    let account_id = caller.account_id;
    let leads = &context.store.leads;
    if let Some(text) = &query.q {
        return search(&context, account_id, text, &query).await;
    }
    if query.phone.is_none() && query.email.is_none() {
        let page = PageQuery {
            limit: query.limit,
            cursor: query.cursor,
        }
        .request()?;
        return Ok(Json(leads.list(account_id, page).await?.into()));
    }
    let mut found = None;
    if let Some(text) = &query.phone {
        found = leads
            .by_phone(account_id, &lead_rules::phone_of_query(text)?)
            .await?;
    }
    if let Some(email) = &query.email {
        let email = lead_rules::email(email)?;
        found = match found {
            None if query.phone.is_some() => None,
            None => leads.by_email(account_id, &email).await?,
            Some(lead) => Some(lead).filter(|lead| lead.folded_emails().any(|known| known == email)),
        };
    }
    Ok(Json(Paged::whole(found.into_iter().collect())))
}

async fn search(
    context: &Context,
    account_id: AccountId,
    text: &str,
    query: &LeadQuery,
) -> ApiResult<Json<Paged<Lead>>> {
    if query.phone.is_some() || query.email.is_some() {
        return Err(ApiError::field(
            "q",
            "leave `phone` and `email` out: `q` looks for them too",
        ));
    }
    if text.chars().count() > QUERY_CHARS_MAX {
        return Err(ApiError::field(
            "q",
            format!("expected at most {QUERY_CHARS_MAX} characters"),
        ));
    }
    let words = LeadWords::of(text).ok_or_else(|| ApiError::field("q", "expected at least one word"))?;
    let page = PageQuery {
        limit: query.limit,
        cursor: query.cursor.clone(),
    };
    let found = context
        .store
        .leads
        .search(account_id, &words, page.request()?)
        .await?;
    Ok(Json(found.into()))
}

/// Show a lead
///
/// The id of a duplicate that was merged is answered by the lead that it was merged into.
#[utoipa::path(get, path = "/api/leads/{id}", tag = "leads", operation_id = "getLead",
    params(("id" = LeadId, Path, description = "The lead.")),
    responses((status = 200, description = "The lead; its `ETag` says in which state it is.", body = Lead)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> ApiResult<Tagged<Lead>> {
    caller.must(Permission::Read)?;
    Ok(Tagged(context.store.leads.get(caller.account_id, id).await?))
}

/// Create a lead
///
/// Workflows hear of it as `lead.created`, and as `lead.qualified` when its stage says so. Needs the role supervisor.
#[utoipa::path(post, path = "/api/leads", tag = "leads", operation_id = "createLead", request_body = NewLead,
    responses((status = 201, description = "Created.", body = Lead)))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Json(wanted): Json<NewLead>,
) -> ApiResult<Created<Lead>> {
    caller.must(Permission::EditLeads)?;
    let now = clock::now();
    let lead = lead_rules::checked(Lead {
        name: wanted.name,
        phone: wanted.phone,
        email: wanted.email,
        score: wanted.score,
        stage: wanted.stage.unwrap_or_else(|| "new".to_owned()),
        timezone: wanted.timezone,
        opted_out: wanted.opted_out || !wanted.opted_out_of.is_empty(),
        opted_out_of: wanted.opted_out_of,
        consent: wanted.consent,
        fields: wanted.fields,
        ..Lead::nameless(context.leads.fresh_lead_id(), caller.account_id, now)
    })?;
    let mut told = vec![(EventType::LEAD_CREATED, json!({"source": "api"}))];
    if lead.is_qualified() {
        told.push((EventType::LEAD_QUALIFIED, json!({"source": "api"})));
    }
    let (account_id, id) = (lead.account_id, lead.id);
    context.leads.introduce(lead, told).await?;
    // Its number may have opted out before.
    Ok(Created(context.store.leads.get(account_id, id).await?))
}

/// Change a lead
///
/// Workflows hear of it as `lead.updated`, as `lead.opted_out` when that became true, and as `lead.qualified` when the stage
/// became `qualified`. Of two changes at once both count; with `If-Match` a change is refused when anything about the lead has changed since it
/// was read (409). Needs the role supervisor.
#[utoipa::path(patch, path = "/api/leads/{id}", tag = "leads", operation_id = "updateLead",
    params(("id" = LeadId, Path, description = "The lead."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the lead that was read.")), request_body = LeadChange,
    responses((status = 200, description = "The lead as it is afterwards.", body = Lead)))]
pub async fn update(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
    read_at: IfMatch,
    Json(change): Json<LeadChange>,
) -> ApiResult<Tagged<Lead>> {
    caller.must(Permission::EditLeads)?;
    let now = clock::now();
    let edit = KeyedEdit {
        account_id: caller.account_id,
        lead_id: id,
        key: format!("api {}", ObservationId::fresh()),
        planned_at: now,
        at: now,
        by: EditBy::Hand { read_at: read_at.0 },
        trace: None,
        edit: LeadEdit::Change(change.read()?),
    };
    match context.leads.edit(edit).await? {
        Ok(_) => Ok(Tagged(context.store.leads.get(caller.account_id, id).await?)),
        Err(refusal) => Err(lead_rules::refused(refusal, read_at)),
    }
}

/// Remove a lead
///
/// Removes the record alone: an opt-out stays with its number, and its timeline, calls, messages and runs stay where they are. To remove
/// everything about the person, erase it (`POST /api/leads/{id}/erase`). Needs the role admin.
#[utoipa::path(delete, path = "/api/leads/{id}", tag = "leads", operation_id = "deleteLead",
    params(("id" = LeadId, Path, description = "The lead.")),
    responses((status = 204, description = "Gone.")))]
pub async fn delete(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> ApiResult<Done> {
    caller.must(Permission::DeleteLeads)?;
    context.store.leads.delete(caller.account_id, id).await?;
    Ok(Done)
}

/// Read what happened with a lead, newest first
#[utoipa::path(get, path = "/api/leads/{id}/timeline", tag = "leads", operation_id = "getTimeline",
    params(("id" = LeadId, Path, description = "The lead."), PageQuery),
    responses((status = 200, description = "A page of the timeline.", body = Paged<TimelineEntry>)))]
pub async fn timeline(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<TimelineEntry>>> {
    caller.must(Permission::Read)?;
    let lead = context.store.leads.get(caller.account_id, id).await?;
    let ids = lead.ids();
    let page = kin::timeline(&context.store, caller.account_id, &ids, page.request()?).await?;
    Ok(Json(Paged::of(page, TimelineEntry::from)))
}

impl LeadChange {
    fn read(self) -> ApiResult<lead::LeadChange> {
        let consent = consent_change_of(&self)?;
        Ok(lead::LeadChange {
            name: self.name,
            phone: self.phone.said(),
            email: self.email.said(),
            score: self.score,
            stage: self.stage,
            timezone: self.timezone.said(),
            consent,
            fields: self.fields.unwrap_or_default(),
        })
    }
}

/// What a change says about opt-out and consent.
fn consent_change_of(change: &LeadChange) -> ApiResult<ConsentChange> {
    let opt_out = match (change.opted_out, &change.opted_out_of) {
        (Some(_), Some(_)) => {
            let message = "give either `opted_out` (everything or nothing) or `opted_out_of` (channels)";
            return Err(ApiError::field("opted_out_of", message));
        }
        (Some(true), None) => vec![OptOutChange::Everything],
        (Some(false), None) => vec![OptOutChange::Nothing],
        (None, Some(channels)) => vec![OptOutChange::Nothing, OptOutChange::Add(channels.clone())],
        (None, None) => Vec::new(),
    };
    let patch = change.consent.as_ref();
    let consent = [
        (ContactChannel::Sms, patch.and_then(|patch| patch.sms)),
        (ContactChannel::Call, patch.and_then(|patch| patch.call)),
        (ContactChannel::Email, patch.and_then(|patch| patch.email)),
    ];
    Ok(ConsentChange {
        opt_out,
        consent: consent
            .into_iter()
            .filter_map(|(channel, standing)| Some((channel, standing?)))
            .collect(),
    })
}

/// Reports a fact about a lead that the API itself brought about.
///
/// # Errors
/// When the fact could not be kept.
pub async fn observe(context: &Context, lead: &Lead, kind: EventType, data: Value) -> Result<(), ApiError> {
    let fact = Observation {
        id: ObservationId::fresh(),
        account_id: lead.account_id,
        kind,
        at: clock::now(),
        lead_id: Some(lead.id),
        call_id: None,
        caused_by: None,
        trace: None,
        data,
    };
    context.leads.observe(fact).await?;
    Ok(())
}
