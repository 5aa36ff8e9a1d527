//! Imports of leads: takes files over, piece by piece, whatever happens to the process meanwhile.
//!
//! In: an import whose pieces are in the store. Out: leads, and how far it has come. A piece is taken over whole, then the import's
//! row says so in one write; after a crash the last piece is taken over again and comes to the same: a lead that an import makes has an id
//! made of the import and the row. Facts are written to the timeline as heard already, so no workflow starts, unless that was asked for.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{TryStreamExt, stream};
use ractor::{ActorCell, SpawnErr};
use serde_json::json;
use tokio::sync::Notify;

use super::{
    LeadsHandle,
    jobs::Jobs,
    rounds::{self, Round},
};
use crate::{
    clock,
    domain::{
        ids::{AccountId, ImportId, LeadId, ObservationId},
        lead::{
            EditBy, EditRefusal, KeyedEdit, Lead, LeadEdit,
            columns::{CellProblem, LeadColumn, LeadRow, row_of},
        },
        lead_import::{
            ImportCounts, ImportPart, ImportStatus, LeadImport, OnDuplicate, PROBLEMS_MAX, RowProblem,
        },
        observation::{EventType, Observation},
        resource::{ResourceKey, ResourceKind},
    },
    store::{
        PageRequest, Store, StoreError, StoreResult,
        resources::{ResourceAddress, ResourceFilter, ResourceRow},
    },
};

/// Between two looks for imports that wait here.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Imports that one look takes up.
const LOOK_ROWS: u32 = 100;
/// Imports that are taken over at once; the others wait their turn.
const AT_ONCE: usize = 2;
/// Rows that are taken over at once.
const ROWS_AT_ONCE: usize = 64;
/// After that long without a piece, a file that is still on its way has broken off.
const UPLOAD_MAX: Duration = Duration::from_secs(600);
/// How often a write is tried while the store is busy.
const TRIES_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The imports. Cheap to clone.
#[derive(Clone)]
pub struct LeadImportsHandle {
    store: Store,
    leads: LeadsHandle,
    jobs: Jobs<ImportId>,
    arrived: Arc<Notify>,
}

/// What became of one row.
enum Taken {
    Created,
    Updated,
    Skipped,
    Bad(RowProblem),
}

/// An import with what a row needs to be read.
struct Reading {
    import: LeadImport,
    header: Vec<String>,
    columns: Vec<LeadColumn>,
}

impl LeadImportsHandle {
    /// Begins to take over what waits.
    ///
    /// # Errors
    /// When the supervisor is no longer alive.
    pub async fn start(store: Store, leads: LeadsHandle, supervisor: ActorCell) -> Result<Self, SpawnErr> {
        let arrived: Arc<Notify> = Arc::default();
        let handle = Self {
            store,
            leads,
            jobs: Jobs::new("import", AT_ONCE, arrived.clone()),
            arrived: arrived.clone(),
        };
        let looking = handle.clone();
        let round = Round::new("imports", LOOK_EVERY, move || {
            let looking = looking.clone();
            async move { looking.look().await }
        });
        rounds::start(round.or_when(arrived), supervisor).await?;
        Ok(handle)
    }

    /// Says that a file has arrived.
    pub fn arrived(&self) {
        self.arrived.notify_one();
    }

    /// An id for an import that this node takes over.
    #[must_use]
    pub fn near(&self, id: ImportId) -> ImportId {
        self.leads.near(id)
    }

    /// Starts what waits here, as far as there is room.
    async fn look(&self) -> StoreResult<()> {
        for row in self
            .store
            .resources
            .open(ResourceKind::LeadImport, LOOK_ROWS)
            .await?
        {
            let import: LeadImport = row.read()?;
            if !self.leads.acts_for(import.id.shard()) {
                continue;
            }
            match import.status {
                ImportStatus::Receiving if clock::now() > import.updated_at.plus(UPLOAD_MAX) => {
                    self.fail(&row, "the file broke off on its way: send it again")
                        .await?;
                }
                ImportStatus::Running => self.begin(&import),
                ImportStatus::Receiving | ImportStatus::Done | ImportStatus::Failed => {}
            }
        }
        Ok(())
    }

    fn begin(&self, import: &LeadImport) {
        let (account_id, id) = (import.account_id, import.id);
        let handle = self.clone();
        self.jobs
            .begin(id, async move { handle.take_over(account_id, id).await });
    }

    /// Takes over piece after piece, to the end.
    async fn take_over(&self, account_id: AccountId, id: ImportId) -> StoreResult<()> {
        loop {
            let resources = &self.store.resources;
            let address = ResourceAddress::of::<LeadImport>(account_id, *id.as_bytes());
            let row = resources.get(address).await?;
            let import: LeadImport = row.read()?;
            if import.status != ImportStatus::Running || !self.leads.acts_for(id.shard()) {
                return Ok(());
            }
            if import.parts_done >= import.parts {
                return self.finish(&row, import).await;
            }
            let key = ImportPart::key_of(id, import.parts_done);
            let address = ResourceAddress::of::<ImportPart>(account_id, key);
            let part: ImportPart = resources.get(address).await?.read()?;
            let reading = Reading::of(import);
            let taken = self.take_part(&reading, &part).await?;
            let mut import = reading.import;
            import.counts = counted(import.counts, &taken);
            let problems = taken.into_iter().filter_map(|taken| match taken {
                Taken::Bad(problem) => Some(problem),
                Taken::Created | Taken::Updated | Taken::Skipped => None,
            });
            let room = PROBLEMS_MAX.saturating_sub(import.problems.len());
            let mut problems: Vec<RowProblem> = problems.collect();
            problems.sort_by_key(|problem| problem.row);
            import.problems.extend(problems.into_iter().take(room));
            import.parts_done += 1;
            import.updated_at = clock::now();
            let mut next = row.next(&import)?;
            next.is_open = true;
            self.store.resources.replace(next).await?;
            self.drop_part(account_id, key).await?;
        }
    }

    async fn finish(&self, row: &ResourceRow, import: LeadImport) -> StoreResult<()> {
        self.drop_parts(import.account_id, import.id).await?;
        let now = clock::now();
        let counts = import.counts;
        tracing::info!(import_id = %import.id, rows = counts.rows, created = counts.created, updated = counts.updated,
            bad = counts.bad, "an import is done");
        let done = LeadImport {
            status: ImportStatus::Done,
            updated_at: now,
            finished_at: Some(now),
            ..import
        };
        self.store.resources.replace(row.next(&done)?).await
    }

    /// Ends an import whose file did not arrive whole.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn fail(&self, row: &ResourceRow, why: &str) -> StoreResult<()> {
        let import: LeadImport = row.read()?;
        self.drop_parts(import.account_id, import.id).await?;
        let now = clock::now();
        let failed = LeadImport {
            status: ImportStatus::Failed,
            error: Some(why.to_owned()),
            updated_at: now,
            finished_at: Some(now),
            ..import
        };
        self.store.resources.replace(row.next(&failed)?).await
    }

    /// Takes over the rows of a piece. Those about one person follow each other; the others go at once.
    async fn take_part(&self, reading: &Reading, part: &ImportPart) -> StoreResult<Vec<Taken>> {
        let mut taken = Vec::with_capacity(part.rows.len());
        let mut wave: Vec<(u64, LeadRow)> = Vec::new();
        let mut people: BTreeSet<String> = BTreeSet::new();
        for (cells, number) in part.rows.iter().zip(part.first_row..) {
            let import = &reading.import;
            let read = row_of(
                &reading.columns,
                &reading.header,
                cells,
                import.calling_code.as_deref(),
            );
            let row = match read {
                Ok(row) => row,
                Err(problem) => {
                    taken.push(Taken::Bad(problem_of(number, problem)));
                    continue;
                }
            };
            let phone = row.phone.as_ref().map(ToString::to_string);
            let names: Vec<String> = phone.into_iter().chain(row.email.clone()).collect();
            if names.iter().any(|name| people.contains(name)) {
                taken.extend(self.take_wave(import, std::mem::take(&mut wave)).await?);
                people.clear();
            }
            people.extend(names);
            wave.push((number, row));
        }
        taken.extend(self.take_wave(&reading.import, wave).await?);
        Ok(taken)
    }

    async fn take_wave(&self, import: &LeadImport, wave: Vec<(u64, LeadRow)>) -> StoreResult<Vec<Taken>> {
        let rows = wave.into_iter().map(|(number, row)| Ok((number, row)));
        stream::iter(rows)
            .map_ok(|(number, row)| async move { self.take_patiently(import, number, &row).await })
            .try_buffer_unordered(ROWS_AT_ONCE)
            .try_collect()
            .await
    }

    /// Takes a row over; waits while the store is busy.
    async fn take_patiently(&self, import: &LeadImport, number: u64, row: &LeadRow) -> StoreResult<Taken> {
        for _ in 0..TRIES_MAX {
            match self.take_row(import, number, row).await {
                Err(StoreError::Busy) => tokio::time::sleep(PAUSE).await,
                taken => return taken,
            }
        }
        Err(StoreError::Busy)
    }

    async fn take_row(&self, import: &LeadImport, number: u64, row: &LeadRow) -> StoreResult<Taken> {
        let account_id = import.account_id;
        let id = LeadId::derived(import.created_at, &[import.id.as_bytes(), &number.to_be_bytes()]);
        let fresh = match row.over(&Lead::nameless(id, account_id, clock::now())) {
            Ok(fresh) => fresh,
            Err(problem) => return Ok(Taken::Bad(problem_of(number, problem))),
        };
        let known = match &row.email {
            Some(email) if row.phone.is_none() => self.store.leads.by_email(account_id, email).await?,
            _ => None,
        };
        let known = match (known, &row.phone, &row.email) {
            (Some(known), ..) => known,
            (None, Some(phone), email) => {
                let by_phone = self.store.leads.by_phone(account_id, phone).await?;
                let by_email = match (&by_phone, email) {
                    (None, Some(email)) => self.store.leads.by_email(account_id, email).await?,
                    _ => None,
                };
                match by_phone.or(by_email) {
                    Some(known) => known,
                    None => match self.store.leads.find_or_create_by_phone(fresh).await? {
                        (made, true) => return self.created(import, number, &made).await,
                        (known, false) => known,
                    },
                }
            }
            (None, None, _) => match self.store.leads.create(fresh.clone()).await {
                Ok(()) => return self.created(import, number, &fresh).await,
                // A piece that is taken over again.
                Err(StoreError::Taken { field: "id" }) => fresh,
                Err(error) => return Err(error),
            },
        };
        if known.id == id {
            return self.created(import, number, &known).await;
        }
        match import.on_duplicate {
            OnDuplicate::Skip => Ok(Taken::Skipped),
            OnDuplicate::Update => self.update(import, number, row, known.id).await,
        }
    }

    async fn update(
        &self,
        import: &LeadImport,
        number: u64,
        row: &LeadRow,
        known: LeadId,
    ) -> StoreResult<Taken> {
        let edit = KeyedEdit {
            account_id: import.account_id,
            lead_id: known,
            // The same for a row that is taken over again.
            key: format!("import {} {number}", import.id),
            planned_at: import.created_at,
            at: clock::now(),
            by: EditBy::Import {
                id: import.id,
                is_told: import.start_workflows,
            },
            trace: None,
            edit: LeadEdit::Row(row.clone()),
        };
        let problem = match self.leads.edit(edit).await? {
            Ok(_) => return Ok(Taken::Updated),
            Err(EditRefusal::Cell(problem)) => problem,
            Err(EditRefusal::PhoneTaken) => {
                let value = row.phone.as_ref().map(ToString::to_string).unwrap_or_default();
                let message = "the phone number and the e-mail address belong to two leads: merge them, or leave one out";
                CellProblem::new("phone", &value, message)
            }
            Err(refusal) => CellProblem::new("", "", refusal.to_string()),
        };
        Ok(Taken::Bad(problem_of(number, problem)))
    }

    async fn created(&self, import: &LeadImport, number: u64, lead: &Lead) -> StoreResult<Taken> {
        let data = json!({"source": "import", "import_id": import.id});
        self.tell(import, number, lead.id, EventType::LEAD_CREATED, data)
            .await?;
        Ok(Taken::Created)
    }

    /// Writes a fact into the lead's timeline; workflows hear of it only where that was asked for.
    async fn tell(
        &self,
        import: &LeadImport,
        number: u64,
        lead_id: LeadId,
        kind: EventType,
        data: serde_json::Value,
    ) -> StoreResult<()> {
        let at = clock::now();
        let parts: [&[u8]; 3] = [
            import.id.as_bytes(),
            &number.to_be_bytes(),
            kind.as_str().as_bytes(),
        ];
        let fact = Observation {
            // The same for a row that is taken over again.
            id: ObservationId::derived(import.created_at, &parts),
            account_id: import.account_id,
            kind,
            at,
            lead_id: Some(lead_id),
            call_id: None,
            caused_by: None,
            trace: None,
            data,
        };
        if import.start_workflows {
            self.leads.observe(fact).await.map(drop)
        } else {
            self.store
                .observations
                .record_routed(fact, Vec::new())
                .await
                .map(drop)
        }
    }

    async fn drop_parts(&self, account_id: AccountId, id: ImportId) -> StoreResult<()> {
        loop {
            let filter = ResourceFilter::of_group(ResourceKind::ImportPart, *id.as_bytes());
            let page = PageRequest {
                limit: 10,
                cursor: None,
            };
            let parts = self.store.resources.list(account_id, filter, page).await?.items;
            if parts.is_empty() {
                return Ok(());
            }
            for part in parts {
                self.drop_part(account_id, part.id).await?;
            }
        }
    }

    async fn drop_part(&self, account_id: AccountId, id: ResourceKey) -> StoreResult<()> {
        let address = ResourceAddress::of::<ImportPart>(account_id, id);
        match self.store.resources.delete(address).await {
            Err(StoreError::Missing { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Reading {
    fn of(import: LeadImport) -> Self {
        let (header, columns) = import
            .columns
            .iter()
            .map(|column| (column.header.clone(), column.field.clone()))
            .unzip();
        Self {
            import,
            header,
            columns,
        }
    }
}

fn problem_of(row: u64, problem: CellProblem) -> RowProblem {
    RowProblem {
        row,
        column: problem.column,
        value: problem.value,
        message: problem.message,
    }
}

fn counted(mut counts: ImportCounts, taken: &[Taken]) -> ImportCounts {
    for row in taken {
        counts.done += 1;
        match row {
            Taken::Created => counts.created += 1,
            Taken::Updated => counts.updated += 1,
            Taken::Skipped => counts.skipped += 1,
            Taken::Bad(_) => counts.bad += 1,
        }
    }
    counts
}
