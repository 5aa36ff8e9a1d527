//! Everything known about a lead in one document: what a person may ask for.
//!
//! In: the lead. Out: the record, the timeline, calls with what was said, messages, runs with every step, tasks, alerts, appointments,
//! quotes, payments, posts of other services, and who changed what about it. The document is written as it is read, page by page: it may
//! be larger than memory. A store that fails half-way breaks the transfer off, so that no part is taken for the whole.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    audit::{self, AuditEntry},
    leads::TimelineEntry,
    runs::{self, RunView},
};
use crate::{
    clock,
    domain::{
        alert::Alert,
        appointment::Appointment,
        call::Call,
        ids::LeadId,
        lead::Lead,
        message::Message,
        payment::Payment,
        quote::Quote,
        resource::{Resource, ResourceKind},
        task::Task,
        time::Timestamp,
        transcript::Utterance,
        webhook_rule::{Delivery, DeliveryLog},
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{ApiError, ApiResult},
        json::Path,
    },
    store::{StoreError, audit::AuditFilter, kin, resources::ResourceFilter, runs::RunFilter, walking::Walk},
};

/// Bytes that are collected before they are sent.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for a slow reader.
const CHUNKS_MAX: usize = 4;
/// A reader that takes nothing for so long is gone.
const READER_MAX: Duration = Duration::from_secs(60);

/// Everything known about a lead.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LeadExport {
    /// When it was put together.
    #[schema(value_type = String, format = DateTime)]
    pub exported_at: Timestamp,
    /// The record, with opt-out and consent as they stand.
    pub lead: Lead,
    /// What happened with the lead, newest first; how it opted in and out among it.
    pub timeline: Vec<TimelineEntry>,
    /// Calls with the lead, newest first.
    pub calls: Vec<ExportedCall>,
    /// Messages to and from the lead, newest first.
    pub messages: Vec<Message>,
    /// Runs about the lead with every step's input and output, newest first.
    pub runs: Vec<RunView>,
    /// Tasks about the lead, newest first.
    pub tasks: Vec<Task>,
    /// Alerts about the lead, newest first.
    pub alerts: Vec<Alert>,
    /// Appointments of the lead, newest first.
    pub appointments: Vec<Appointment>,
    /// Quotes to the lead, newest first.
    pub quotes: Vec<Quote>,
    /// Payments of the lead, newest first.
    pub payments: Vec<Payment>,
    /// What other services posted about the lead, as far as it is still kept.
    pub deliveries: Vec<Delivery>,
    /// Who changed what about the lead, and then about each duplicate that was merged into it, newest first; consent given by hand among it.
    pub changes: Vec<AuditEntry>,
}

/// A call with what was said.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExportedCall {
    /// The call.
    pub call: Call,
    /// Everything said, both sides together.
    pub transcript: Vec<Utterance>,
}

/// Why a document ends before its end.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    #[error("a part cannot be shown")]
    Part(#[from] ApiError),
    #[error("a part cannot be written")]
    Json(#[from] serde_json::Error),
    #[error("nobody reads it")]
    ReaderGone,
}

/// Export everything known about a lead
///
/// One JSON document with the record, the timeline, calls with transcripts, messages, runs with every step, tasks, alerts, appointments,
/// quotes, payments, what other services posted, and who changed what. It is sent as it is read and may be large; one that breaks off is no
/// JSON. Recordings are named by their address. The export is in the audit log. Needs the role admin.
#[utoipa::path(get, path = "/api/leads/{id}/export", tag = "leads", operation_id = "exportLead",
    params(("id" = LeadId, Path, description = "The lead.")),
    responses((status = 200, description = "Everything.", body = LeadExport)))]
pub async fn export(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> ApiResult<Response> {
    caller.must(Permission::ExportLeads)?;
    let lead = context.store.leads.get(caller.account_id, id).await?;
    let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
    let document = Document {
        sender: sender.clone(),
        text: String::new(),
    };
    let export = Export {
        context,
        caller,
        ids: lead.ids(),
        document,
    };
    tokio::spawn(async move {
        match export.write(&lead).await {
            Ok(()) => tracing::info!(lead_id = %id, "lead exported"),
            Err(error) => {
                tracing::warn!(lead_id = %id, error = &error as &dyn std::error::Error, "an export broke off");
                // Whoever is gone needs no word of it.
                drop(sender.send(Err(error)).await);
            }
        }
    });
    let body = stream::unfold(chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    });
    let file = format!("attachment; filename=\"{id}.json\"");
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CONTENT_DISPOSITION, file),
    ];
    // Compression asks once more after the end.
    Ok((headers, Body::from_stream(body.fuse())).into_response())
}

/// One export under way.
struct Export {
    context: Context,
    caller: Caller,
    /// The lead's and those of duplicates that were merged into it.
    ids: Vec<LeadId>,
    document: Document,
}

impl Export {
    async fn write(mut self, lead: &Lead) -> Result<(), Cut> {
        self.document.text.push('{');
        self.document.member("exported_at", &clock::now())?;
        self.document.member("lead", lead)?;
        self.write_timeline().await?;
        self.write_calls().await?;
        self.write_messages().await?;
        self.write_runs().await?;
        self.write_tasks().await?;
        self.write_alerts().await?;
        self.write_resources::<Appointment>("appointments").await?;
        self.write_resources::<Quote>("quotes").await?;
        self.write_resources::<Payment>("payments").await?;
        self.write_deliveries().await?;
        self.write_changes().await?;
        self.document.end().await
    }

    async fn write_timeline(&mut self) -> Result<(), Cut> {
        let (store, account, ids) = (&self.context.store, self.caller.account_id, &self.ids);
        let mut list = self.document.list("timeline")?;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| kin::timeline(store, account, ids, page)).await? {
            list.add(page.into_iter().map(TimelineEntry::from)).await?;
        }
        list.end();
        Ok(())
    }

    async fn write_calls(&mut self) -> Result<(), Cut> {
        let (calls, account, ids) = (&self.context.store.calls, self.caller.account_id, &self.ids);
        let mut list = self.document.list("calls")?;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| calls.list(account, page)).await? {
            for call in page.into_iter().filter(|call| is_one_of(ids, call.lead_id)) {
                let transcript = calls.transcript(account, call.id).await?;
                let call = call.shown();
                list.add([ExportedCall { call, transcript }]).await?;
            }
        }
        list.end();
        Ok(())
    }

    async fn write_messages(&mut self) -> Result<(), Cut> {
        let (messages, account, ids) = (&self.context.store.messages, self.caller.account_id, &self.ids);
        let mut list = self.document.list("messages")?;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| messages.list(account, page)).await? {
            let own = page.into_iter().filter(|message| is_one_of(ids, message.lead_id));
            list.add(own).await?;
        }
        list.end();
        Ok(())
    }

    async fn write_runs(&mut self) -> Result<(), Cut> {
        let (store, account, ids) = (&self.context.store, self.caller.account_id, &self.ids);
        let filter = RunFilter::default();
        let mut list = self.document.list("runs")?;
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| kin::runs(store, account, ids, &filter, page))
            .await?
        {
            for head in page {
                let run = runs::show(&self.context, &self.caller, head.id).await?.0;
                list.add([run]).await?;
            }
        }
        list.end();
        Ok(())
    }

    async fn write_tasks(&mut self) -> Result<(), Cut> {
        let (tasks, account, ids) = (&self.context.store.tasks, self.caller.account_id, &self.ids);
        let mut list = self.document.list("tasks")?;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| tasks.list(account, page)).await? {
            list.add(page.into_iter().filter(|task| is_one_of(ids, task.lead_id)))
                .await?;
        }
        list.end();
        Ok(())
    }

    async fn write_alerts(&mut self) -> Result<(), Cut> {
        let (alerts, account, ids) = (&self.context.store.alerts, self.caller.account_id, &self.ids);
        let mut list = self.document.list("alerts")?;
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| alerts.list(account, page)).await? {
            list.add(page.into_iter().filter(|alert| is_one_of(ids, alert.lead_id)))
                .await?;
        }
        list.end();
        Ok(())
    }

    /// Resources that are grouped by their lead.
    async fn write_resources<T: Resource>(&mut self, name: &str) -> Result<(), Cut> {
        let (store, account, ids) = (&self.context.store, self.caller.account_id, &self.ids);
        let mut list = self.document.list(name)?;
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| kin::resources(store, account, ids, (T::KIND, None), page))
            .await?
        {
            for row in page {
                list.add([row.read::<T>()?]).await?;
            }
        }
        list.end();
        Ok(())
    }

    async fn write_deliveries(&mut self) -> Result<(), Cut> {
        let (resources, account, ids) = (&self.context.store.resources, self.caller.account_id, &self.ids);
        let filter = ResourceFilter::all(ResourceKind::Delivery);
        let mut list = self.document.list("deliveries")?;
        let mut walk = Walk::default();
        while let Some(page) = walk
            .next(|page| resources.list(account, filter.clone(), page))
            .await?
        {
            for row in page {
                let log: DeliveryLog = row.read()?;
                let own = log.deliveries.into_iter();
                list.add(own.filter(|delivery| is_one_of(ids, delivery.lead_id)))
                    .await?;
            }
        }
        list.end();
        Ok(())
    }

    async fn write_changes(&mut self) -> Result<(), Cut> {
        let (log, account) = (&self.context.store.audit, self.caller.account_id);
        let mut list = self.document.list("changes")?;
        let filter = AuditFilter {
            about: self.ids.iter().map(LeadId::to_string).collect(),
            ..AuditFilter::default()
        };
        let mut walk = Walk::default();
        while let Some(page) = walk.next(|page| log.page(account, &filter, page)).await? {
            for row in page {
                list.add([audit::shown(&row)?]).await?;
            }
        }
        list.end();
        Ok(())
    }
}

fn is_one_of(leads: &[LeadId], named: Option<LeadId>) -> bool {
    named.is_some_and(|id| leads.contains(&id))
}

/// A JSON object on its way out, member by member.
struct Document {
    sender: mpsc::Sender<Result<Bytes, Cut>>,
    /// What is not sent yet.
    text: String,
}

impl Document {
    fn name(&mut self, name: &str) -> Result<(), Cut> {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        self.text.push_str(&serde_json::to_string(name)?);
        self.text.push(':');
        Ok(())
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<(), Cut> {
        self.name(name)?;
        self.text.push_str(&serde_json::to_string(value)?);
        Ok(())
    }

    fn list(&mut self, name: &str) -> Result<List<'_>, Cut> {
        self.name(name)?;
        self.text.push('[');
        Ok(List {
            document: self,
            is_empty: true,
        })
    }

    async fn end(&mut self) -> Result<(), Cut> {
        self.text.push('}');
        self.send().await
    }

    async fn send(&mut self) -> Result<(), Cut> {
        // What follows tells by its own beginning that it is not the first member.
        let chunk = Bytes::from(std::mem::take(&mut self.text));
        let sent = self.sender.send_timeout(Ok(chunk), READER_MAX).await;
        sent.map_err(|_gone| Cut::ReaderGone)
    }
}

/// A list of the document, item by item.
struct List<'document> {
    document: &'document mut Document,
    is_empty: bool,
}

impl List<'_> {
    async fn add<T: Serialize>(&mut self, items: impl IntoIterator<Item = T> + Send) -> Result<(), Cut> {
        let text = &mut self.document.text;
        for item in items {
            if !self.is_empty {
                text.push(',');
            }
            self.is_empty = false;
            text.push_str(&serde_json::to_string(&item)?);
        }
        if self.document.text.len() >= CHUNK_BYTES {
            self.document.send().await?;
        }
        Ok(())
    }

    fn end(self) {
        self.document.text.push(']');
    }
}
