//! What was acknowledged survives `kill -9` of the process that wrote it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use crate::store::{
    conformance::samples::{account_id, at, next, run, run_id, workflow_id},
    runs::RunStatus,
    sqlite::open,
};

const CRASH_STORE: &str = "PATCHCORD_TEST_CRASH_STORE";

/// Not a test of its own: the process that `acknowledged_writes_survive_kill_9` kills. Prints each run once it is
/// acknowledged, with the revision it has reached.
#[tokio::test]
async fn crash_child() {
    let Ok(path) = std::env::var(CRASH_STORE) else {
        return;
    };
    let (store, _guard) = open(Path::new(&path)).expect("the parent gave a folder");
    let writers = (0..8_u64).map(|writer| {
        let runs = store.runs.clone();
        tokio::spawn(async move {
            for number in (writer..u64::MAX).step_by(8) {
                let mut first = run(account_id(1), workflow_id(1), number);
                first.timers_set = vec![(1, at(60))];
                let second = next(&first, RunStatus::Waiting);
                runs.create(first).await.expect("written");
                println!("acknowledged {number} 1");
                runs.append(second).await.expect("written");
                println!("acknowledged {number} 2");
                std::io::stdout().flush().expect("the parent reads");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("killed before");
    }
}

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    let folder = tempfile::tempdir().expect("the test machine has a temporary folder");
    let path = folder.path().join("store.db");
    for wanted in [40, 150, 400] {
        let acknowledged = write_until_killed(&path, wanted);
        assert!(
            acknowledged.len() >= wanted / 4,
            "the child wrote {} runs",
            acknowledged.len()
        );
        let (store, guard) = open(&path).expect("opened after the crash");
        for (number, revision) in acknowledged {
            let (head, _) = store
                .runs
                .load(run_id(number))
                .await
                .expect("acknowledged, so kept");
            assert!(head.revision >= revision, "run {number} is at {}", head.revision);
            let journal = store
                .runs
                .journal(account_id(1), run_id(number))
                .await
                .expect("kept");
            assert_eq!(
                u64::try_from(journal.len()),
                Ok(head.revision),
                "an append is whole or not there"
            );
        }
        let timers = store.runs.timers(None, None, 100_000).await.expect("read").len();
        let counts = store
            .runs
            .counts(account_id(1), workflow_id(1))
            .await
            .expect("read");
        assert_eq!(
            u64::try_from(timers),
            Ok(counts.active),
            "every run came with its timer"
        );
        drop((store, guard));
        std::fs::remove_file(&path).expect("the next round starts empty");
    }
}

/// Starts a writing process and kills it after `wanted` acknowledgements. Returns the highest revision it had acknowledged
/// of each run.
fn write_until_killed(path: &Path, wanted: usize) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().expect("a test runs from a file"))
        .args([
            "--exact",
            "store::sqlite::tests::crash::crash_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CRASH_STORE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut acknowledged = BTreeMap::new();
    let mut seen = 0;
    for line in lines {
        let line = line.expect("the child writes text");
        // The harness prints on the same line before the first one; the last one may be cut.
        let numbers = line
            .split_once("acknowledged ")
            .and_then(|(_, numbers)| numbers.split_once(' '));
        let Some((number, revision)) = numbers else {
            continue;
        };
        let (Ok(number), Ok(revision)) = (number.parse::<u64>(), revision.parse::<u64>()) else {
            continue;
        };
        let highest = acknowledged.entry(number).or_insert(revision);
        *highest = revision.max(*highest);
        seen += 1;
        // What it still had in the pipe follows: it was acknowledged as well.
        if seen == wanted {
            child.kill().expect("it runs until it is killed");
        }
    }
    child.wait().expect("it was killed");
    acknowledged
}
