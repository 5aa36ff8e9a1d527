//! Conditional writes whose outcome is lost: the caller is told that it was done exactly when it was, and nothing is done twice.

use std::sync::Arc;

use super::{
    address,
    lossy_way::{Loss, LossyWay},
    opened, server,
};
use crate::{
    domain::{
        consent::ContactChannel,
        ids::NodeId,
        lead::{EditBy, KeyedEdit, LeadEdit, ScoreChange},
        run::RunStatus,
        shard::Shard,
    },
    store::{
        Recorded, Store, StoreError, StoreResult,
        conformance::samples::{
            account_id, alert, alert_id, at, call_id, fact, lead, lead_id, next, run, run_id, user_id,
            workflow_id,
        },
        contacts::{Booking, Contact, ContactCaps},
        scylla::{
            connection::Connection,
            errors::Replaced,
            open::{open_core, whole},
        },
    },
};

/// A store on a lossy way, and the truth about the same rows.
struct Both {
    lossy: Store,
    connection: Arc<Connection>,
    truth: super::Opened,
    way: LossyWay,
}

async fn both() -> Option<Both> {
    let server = server()?;
    let truth = opened().await?;
    let way = LossyWay::to(&server).await;
    let core = open_core(&address(way.address()))
        .await
        .expect("the server answers through the way");
    Some(Both {
        lossy: whole(&core),
        connection: Arc::clone(&core.db.connection),
        truth,
        way,
    })
}

impl Both {
    /// Does `work` while something of its first conditional write is lost.
    async fn losing<T>(&self, loss: Loss, work: impl Future<Output = T>) -> T {
        let before = self.way.losses();
        self.way.lose(loss);
        let outcome = work.await;
        assert_eq!(self.way.losses(), before + 1, "{loss:?} took place");
        outcome
    }

    /// A run's revision and the number of its lines.
    async fn stands_at(&self, number: u64) -> Option<(u64, usize)> {
        let runs = &self.truth.store.runs;
        match runs.load(run_id(number)).await {
            Ok((head, _)) => {
                let lines = runs.journal(account_id(1), run_id(number)).await.expect("read");
                Some((head.revision, lines.len()))
            }
            Err(StoreError::Missing { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

fn is_unknown<T>(outcome: &StoreResult<T>) -> bool {
    matches!(outcome, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_run_is_made_and_moved_once_when_the_answer_is_lost() {
    let Some(both) = both().await else { return };
    let runs = &both.lossy.runs;
    let first = run(account_id(1), workflow_id(1), 1);
    let made = both.losing(Loss::Answer, runs.create(first.clone())).await;
    assert_eq!(made.expect("it was made"), Recorded::Fresh);
    assert_eq!(both.stands_at(1).await, Some((1, 1)));
    let second = next(&first, RunStatus::Waiting);
    let moved = both.losing(Loss::Answer, runs.append(second.clone())).await;
    moved.expect("it was moved");
    assert_eq!(both.stands_at(1).await, Some((2, 2)));
    // One that was made before is not made by a try whose answer, a refusal, is lost.
    let again = both.losing(Loss::Answer, runs.create(first)).await;
    assert!(is_unknown(&again), "{again:?}");
    let again = both.losing(Loss::Answer, runs.append(second)).await;
    assert!(is_unknown(&again), "{again:?}");
    assert_eq!(both.stands_at(1).await, Some((2, 2)));
}

#[tokio::test]
async fn a_run_is_not_said_to_be_made_or_moved_when_the_request_is_lost() {
    let Some(both) = both().await else { return };
    let runs = &both.lossy.runs;
    let first = run(account_id(1), workflow_id(1), 1);
    let made = both.losing(Loss::Request, runs.create(first.clone())).await;
    assert!(is_unknown(&made), "{made:?}");
    assert_eq!(both.stands_at(1).await, None);
    let made = runs.create(first.clone()).await;
    assert_eq!(made.expect("it was made"), Recorded::Fresh);
    let second = next(&first, RunStatus::Waiting);
    let moved = both.losing(Loss::Request, runs.append(second.clone())).await;
    assert!(is_unknown(&moved), "{moved:?}");
    assert_eq!(both.stands_at(1).await, Some((1, 1)));
    runs.append(second).await.expect("it was moved");
    assert_eq!(both.stands_at(1).await, Some((2, 2)));
}

#[tokio::test]
async fn a_write_that_arrives_late_is_not_made_twice() {
    let Some(both) = both().await else { return };
    let runs = &both.lossy.runs;
    let first = run(account_id(1), workflow_id(1), 1);
    let made = both.losing(Loss::Late, runs.create(first.clone())).await;
    assert!(is_unknown(&made), "{made:?}");
    assert_eq!(both.stands_at(1).await, None);
    let again = runs.create(first.clone()).await;
    assert_eq!(again.expect("it was made, late"), Recorded::Duplicate);
    let second = next(&first, RunStatus::Waiting);
    let moved = both.losing(Loss::Late, runs.append(second.clone())).await;
    assert!(is_unknown(&moved), "{moved:?}");
    let again = runs.append(second).await;
    assert!(
        matches!(again, Err(StoreError::Moved { revision: 2, .. })),
        "{again:?}"
    );
    assert_eq!(both.stands_at(1).await, Some((2, 2)));
    let told = fact(account_id(1), 1, 1);
    let recorded = both
        .losing(Loss::Late, both.lossy.calls.record_fact(told.clone()))
        .await;
    assert!(is_unknown(&recorded), "{recorded:?}");
    let again = both.lossy.calls.record_fact(told).await;
    assert_eq!(again.expect("it was recorded, late"), Recorded::Duplicate);
    let facts = both.truth.store.calls.facts(call_id(1)).await.expect("read");
    assert_eq!(facts.len(), 1);
}

#[tokio::test]
async fn a_request_without_an_answer_ends_when_the_database_is_back() {
    let Some(both) = both().await else { return };
    let runs = &both.lossy.runs;
    let first = run(account_id(1), workflow_id(1), 1);
    let return_of_the_database = async {
        while both.way.losses() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(both.connection.is_back().await, "another session is made");
    };
    let making = both.losing(Loss::Silence, runs.create(first.clone()));
    let (made, ()) = tokio::join!(making, return_of_the_database);
    let Err(StoreError::Unavailable(cause)) = made else {
        panic!("the outcome is unknown: {made:?}");
    };
    assert!(cause.is::<Replaced>(), "it is not the time-out: {cause}");
    let made = runs.create(first).await;
    assert_eq!(made.expect("the other session works"), Recorded::Fresh);
    assert_eq!(both.stands_at(1).await, Some((1, 1)));
}

#[tokio::test]
async fn a_shard_is_taken_and_released_exactly_when_that_is_said() {
    let Some(both) = both().await else { return };
    let leases = &both.lossy.leases;
    let (shard, node) = (Shard::new(9).expect("there are 256"), NodeId::fresh());
    let stands = async || both.truth.store.leases.owners().await.expect("read")[9];
    let taken = both.losing(Loss::Request, leases.take(shard, node, 0)).await;
    assert!(is_unknown(&taken), "{taken:?}");
    assert_eq!((stands().await.epoch, stands().await.owner), (0, None));
    let taken = both.losing(Loss::Answer, leases.take(shard, node, 0)).await;
    let lease = taken.expect("it was taken").expect("by this node");
    assert_eq!((lease, lease.epoch), (stands().await, 1));
    let released = both.losing(Loss::Answer, leases.release(shard, node, 1)).await;
    assert!(released.expect("it was released"));
    assert_eq!((stands().await.epoch, stands().await.owner), (1, None));
    let other = NodeId::fresh();
    leases
        .take(shard, other, 1)
        .await
        .expect("answered")
        .expect("it is free");
    // Somebody else's lease is not taken for one's own.
    let taken = both.losing(Loss::Answer, leases.take(shard, node, 1)).await;
    assert!(is_unknown(&taken), "{taken:?}");
    assert_eq!(stands().await.owner, Some(other));
}

#[tokio::test]
async fn a_row_under_a_revision_is_changed_once_whatever_is_lost() {
    let Some(both) = both().await else { return };
    let owner = account_id(1);
    for (number, loss) in [(1, Loss::Answer), (2, Loss::Request), (3, Loss::Late)] {
        let (lossy, truth) = (&both.lossy, &both.truth.store);
        truth.leads.create(lead(owner, number)).await.expect("written");
        let edit = KeyedEdit {
            account_id: owner,
            lead_id: lead_id(number),
            key: "edit".to_owned(),
            planned_at: at(1),
            at: at(9),
            by: EditBy::Run(run_id(1)),
            trace: None,
            edit: LeadEdit::Score(ScoreChange { set: None, add: 7 }),
        };
        let edited = both.losing(loss, lossy.leads.edit(edit)).await;
        edited.expect("it is tried again").expect("nothing refuses it");
        let scored = truth.leads.get(owner, lead_id(number)).await.expect("kept");
        assert_eq!(scored.score, 57, "{loss:?}");
        let raised = both.losing(loss, lossy.alerts.raise(alert(owner, number))).await;
        assert_eq!(raised.expect("it is tried again"), Recorded::Fresh, "{loss:?}");
        let acknowledged = lossy
            .alerts
            .acknowledge(owner, alert_id(number), user_id(1), at(3));
        let (_, acknowledged) = both.losing(loss, acknowledged).await.expect("it is tried again");
        assert_eq!(acknowledged, Recorded::Fresh, "{loss:?}");
        let contact = Contact {
            account_id: owner,
            subject: lead_id(number).to_string(),
            channel: ContactChannel::Sms,
            key: "sms".to_owned(),
            at: at(5),
        };
        let booked = lossy.contacts.book(contact.clone(), ContactCaps::default());
        let booked = both.losing(loss, booked).await.expect("it is tried again");
        assert_eq!(booked, Booking::Booked { day: 1, week: 1 }, "{loss:?}");
        let kept = truth
            .contacts
            .booked_since(owner, &contact.subject, contact.channel, at(0))
            .await;
        assert_eq!(kept.expect("read").len(), 1, "{loss:?}");
    }
}
