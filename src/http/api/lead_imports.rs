//! Imports of leads: a CSV file in, as it streams; how far it has come, and what was wrong with which row.

use std::collections::BTreeMap;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    domain::{
        csv::{CsvReader, delimiter_of},
        ids::ImportId,
        lead::columns::columns_of,
        lead_import::{ImportColumn, ImportCounts, ImportPart, ImportStatus, LeadImport, OnDuplicate},
        redaction,
        time::Timestamp,
    },
    http::{
        auth::{Caller, permission::Permission},
        context::Context,
        error::{Accepted, ApiError, ApiResult, FieldError},
        idempotency::RequestKey,
        json::{Json, Path, Query},
        page::{PageQuery, Paged},
        resources,
    },
    store::{Recorded, resources::ResourceRow},
};

/// Largest file.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Most rows of a file.
const ROWS_MAX: u64 = 1_000_000;
/// Rows and bytes of a piece: as much as is held in memory and taken over at once.
const PART_ROWS: usize = 500;
const PART_BYTES: usize = 256 << 10;
/// As much is read to find out which delimiter the file has.
const FIRST_LINE_BYTES_MAX: usize = 64 << 10;
/// Longest mapping.
const MAPPING_BYTES_MAX: usize = 16 << 10;

/// How a file is to be read and taken over.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// What becomes of a row whose phone number (or, without a match, e-mail address) a lead has already: `update` (when left out) lays it
    /// over the lead, `skip` leaves the lead as it is. Rows of one file about one person are taken in their order.
    #[param(inline)]
    on_duplicate: Option<OnDuplicate>,
    /// Whether workflows hear of every lead as `lead.created` or `lead.updated`. When left out they do not: 100,000 rows start nothing, and
    /// timelines show where the leads came from.
    start_workflows: Option<bool>,
    /// The country calling code, without a plus sign, of phone numbers that are written without one.
    #[param(pattern = "^[1-9][0-9]{0,2}$", example = "1")]
    calling_code: Option<String>,
    /// Which column fills which field, as a JSON object by the names in the first row: `{"Mobile": "phone", "Plan": "fields.plan", "Junk": ""}`.
    /// Columns that it does not name are known by their own names, and become fields of the account's own otherwise; an empty text
    /// leaves one out.
    #[param(max_length = 16_384, example = "{\"Mobile\": \"phone\"}")]
    mapping: Option<String>,
}

/// The file is on disk; its rows are taken over one after the other.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportAccepted {
    import_id: ImportId,
    /// Rows of the file, without the first.
    rows: u64,
}

/// Import leads from a CSV file
///
/// The body is the file, in UTF-8; its first row names the columns, and its delimiter (comma, semicolon, tab or bar) is found by itself. At
/// most 256 MiB and 1,000,000 rows. Answered when the whole file is on disk; `GET /api/leads/imports/{id}` shows how far it has come and
/// which rows were bad. It goes on after a crash, and no row is taken over twice. Under an `Idempotency-Key` the same file sent again is
/// the same import. Needs the role supervisor.
#[utoipa::path(post, path = "/api/leads/import", tag = "leads", operation_id = "importLeads", params(ImportQuery),
    request_body(content = String, content_type = "text/csv", description = "The file.",
        example = "name,phone,email\nAnn Lee,+14155550100,ann@example.com\n"),
    responses((status = 202, description = "Taken in for good.", body = ImportAccepted),
        (status = 415, description = "The body is not `text/csv`.", body = crate::http::error::Problem,
            content_type = "application/problem+json")))]
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    Query(query): Query<ImportQuery>,
    key: Option<Extension<RequestKey>>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Accepted<ImportAccepted>> {
    caller.must(Permission::EditLeads)?;
    if !is_csv(&headers) {
        return Err(ApiError::NotCsv);
    }
    let mapping = mapping_of(&query)?;
    let now = clock::now();
    let id = resources::parts_of(&caller, key.as_deref()).map_or_else(
        || context.lead_imports.near(ImportId::fresh()),
        |parts| ImportId::derived(Timestamp::default(), &parts),
    );
    let import = LeadImport {
        id,
        account_id: caller.account_id,
        created_by: caller.user_id,
        status: ImportStatus::Receiving,
        on_duplicate: query.on_duplicate.unwrap_or_default(),
        start_workflows: query.start_workflows.unwrap_or(false),
        calling_code: query.calling_code,
        columns: Vec::new(),
        counts: ImportCounts::default(),
        problems: Vec::new(),
        error: None,
        parts: 0,
        parts_done: 0,
        created_at: now,
        updated_at: now,
        finished_at: None,
    };
    let mut row = ResourceRow::first(&import)?;
    row.is_open = true;
    if context.store.resources.create(row.clone()).await? == Recorded::Duplicate {
        return repeated(&context, &caller, id).await;
    }
    let mut receiving = Receiving::new(&context, import, mapping);
    match receiving.all(body).await {
        Ok(import) => {
            let mut next = row.next(&import)?;
            next.is_open = true;
            context.store.resources.replace(next).await?;
            context.lead_imports.arrived();
            Ok(Accepted(ImportAccepted {
                import_id: id,
                rows: import.counts.rows,
            }))
        }
        Err(error) => {
            context.lead_imports.fail(&row, &error.problem().detail).await?;
            Err(error)
        }
    }
}

/// List imports of leads, newest first
#[utoipa::path(get, path = "/api/leads/imports", tag = "leads", operation_id = "listImports", params(PageQuery),
    responses((status = 200, description = "A page of imports.", body = Paged<LeadImport>)))]
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<Paged<LeadImport>>> {
    caller.must(Permission::Read)?;
    resources::list(&context, caller.account_id, (None, None), page).await
}

/// Show an import of leads: how far it has come, and its bad rows
#[utoipa::path(get, path = "/api/leads/imports/{id}", tag = "leads", operation_id = "getImport",
    params(("id" = ImportId, Path, description = "The import.")),
    responses((status = 200, description = "The import.", body = LeadImport)))]
pub async fn get(
    State(context): State<Context>,
    caller: Caller,
    Path(id): Path<ImportId>,
) -> ApiResult<Json<LeadImport>> {
    caller.must(Permission::Read)?;
    resources::find(&context, caller.account_id, *id.as_bytes())
        .await
        .map(Json)
}

/// Answers a file that was sent before under the same key.
async fn repeated(context: &Context, caller: &Caller, id: ImportId) -> ApiResult<Accepted<ImportAccepted>> {
    let import: LeadImport = resources::find(context, caller.account_id, *id.as_bytes()).await?;
    match import.status {
        ImportStatus::Running | ImportStatus::Done => Ok(Accepted(ImportAccepted {
            import_id: id,
            rows: import.counts.rows,
        })),
        ImportStatus::Receiving | ImportStatus::Failed => Err(ApiError::Conflict {
            code: "import_broke_off",
            detail: "the file under this Idempotency-Key is still on its way, or did not arrive whole: send it under another key"
                .to_owned(),
        }),
    }
}

fn is_csv(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    matches!(
        essence.trim().to_ascii_lowercase().as_str(),
        "text/csv" | "application/csv"
    )
}

fn mapping_of(query: &ImportQuery) -> ApiResult<BTreeMap<String, String>> {
    let code = query.calling_code.as_deref();
    let is_code = |code: &str| {
        (1..=3).contains(&code.len())
            && !code.starts_with('0')
            && code.bytes().all(|byte| byte.is_ascii_digit())
    };
    if code.is_some_and(|code| !is_code(code)) {
        let message = "expected a country calling code without a plus sign, like 1 or 44";
        return Err(ApiError::field("calling_code", message));
    }
    let Some(text) = &query.mapping else {
        return Ok(BTreeMap::new());
    };
    let expected = "expected a JSON object of texts, like {\"Mobile\": \"phone\"}";
    if text.len() > MAPPING_BYTES_MAX {
        return Err(ApiError::field(
            "mapping",
            format!("expected at most {MAPPING_BYTES_MAX} bytes"),
        ));
    }
    serde_json::from_str(text).map_err(|_not_that| ApiError::field("mapping", expected))
}

/// A file on its way: piece after piece goes to the store, so one piece at most is held here.
struct Receiving<'a> {
    context: &'a Context,
    import: LeadImport,
    mapping: BTreeMap<String, String>,
    waiting: Vec<Vec<String>>,
    waiting_bytes: usize,
    /// The row that the first of those is.
    first_row: u64,
}

impl<'a> Receiving<'a> {
    const fn new(context: &'a Context, import: LeadImport, mapping: BTreeMap<String, String>) -> Self {
        Self {
            context,
            import,
            mapping,
            waiting: Vec::new(),
            waiting_bytes: 0,
            first_row: 2,
        }
    }

    /// Takes the whole file in; returns the import as it is to run.
    async fn all(&mut self, body: Body) -> ApiResult<LeadImport> {
        let mut pieces = body.into_data_stream();
        let (mut reader, mut head, mut bytes) = (None, Vec::new(), 0_u64);
        let mut records = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_broken| ApiError::Malformed {
                detail: "the file broke off: send it again".to_owned(),
            })?;
            bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if bytes > FILE_BYTES_MAX {
                return Err(ApiError::TooLarge);
            }
            match &mut reader {
                Some(reader) => read_into(reader, &piece, &mut records)?,
                None => {
                    head.extend_from_slice(&piece);
                    if piece.contains(&b'\n') || head.len() > FIRST_LINE_BYTES_MAX {
                        reader = Some(first(&std::mem::take(&mut head), &mut records)?);
                    }
                }
            }
            self.take(&mut records).await?;
        }
        let mut reader = match reader {
            Some(reader) => reader,
            None => first(&head, &mut records)?,
        };
        reader.finish(&mut records).map_err(unreadable)?;
        self.take(&mut records).await?;
        self.flush().await?;
        if self.import.columns.is_empty() {
            return Err(ApiError::field(
                "",
                "the file is empty: its first row names the columns",
            ));
        }
        Ok(LeadImport {
            status: ImportStatus::Running,
            updated_at: clock::now(),
            ..self.import.clone()
        })
    }

    async fn take(&mut self, records: &mut Vec<Vec<String>>) -> ApiResult<()> {
        for mut record in records.drain(..) {
            if self.import.columns.is_empty() {
                self.import.columns = self.columns(&record)?;
                continue;
            }
            self.import.counts.rows += 1;
            if self.import.counts.rows > ROWS_MAX {
                let message = format!("the file has more than {ROWS_MAX} rows: split it");
                return Err(ApiError::field("", message));
            }
            for (at, cell) in record.iter_mut().enumerate() {
                let name = self.import.columns.get(at).map(|column| column.header.as_str());
                *cell = redaction::redact_named(name.unwrap_or_default(), cell);
            }
            self.waiting_bytes += record.iter().map(String::len).sum::<usize>();
            self.waiting.push(record);
            if self.waiting.len() >= PART_ROWS || self.waiting_bytes >= PART_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    fn columns(&self, header: &[String]) -> ApiResult<Vec<ImportColumn>> {
        let fields = columns_of(header, &self.mapping).map_err(|problems| {
            let errors = problems
                .into_iter()
                .map(|problem| FieldError::new(problem.field, problem.expected));
            ApiError::Invalid(errors.collect())
        })?;
        let columns = header.iter().zip(fields).map(|(header, field)| ImportColumn {
            header: header.trim().to_owned(),
            field,
        });
        Ok(columns.collect())
    }

    async fn flush(&mut self) -> ApiResult<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let next_row = self.first_row + u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let part = ImportPart::of(&self.import, self.first_row, rows);
        let row = ResourceRow::first(&part)?;
        self.context.store.resources.create(row).await?;
        self.import.parts += 1;
        self.first_row = next_row;
        Ok(())
    }
}

/// Begins to read: finds the delimiter, and passes over a byte order mark.
fn first(head: &[u8], records: &mut Vec<Vec<String>>) -> ApiResult<CsvReader> {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    let mut reader = CsvReader::new(delimiter_of(head));
    read_into(&mut reader, head, records)?;
    Ok(reader)
}

fn read_into(reader: &mut CsvReader, bytes: &[u8], records: &mut Vec<Vec<String>>) -> ApiResult<()> {
    reader.push(bytes, records).map_err(unreadable)
}

fn unreadable(error: crate::domain::csv::CsvError) -> ApiError {
    ApiError::field("", error.to_string())
}
