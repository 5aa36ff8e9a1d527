//! One script runner: this program again, with nothing of ours in it.
//!
//! It has an empty environment and two pipes; it takes its own limits before it reads. Dropping it kills it.

use std::{io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::Instant,
};

use super::wire::{ANSWER_BYTES_MAX, Answer, JOB_BYTES_MAX, Job};

/// The hidden command of this program that runs scripts.
pub const COMMAND: &str = "script-runner";
/// Jobs after which a runner is replaced: nothing in it may grow for ever.
const JOBS_MAX: u32 = 1_000;
/// Time at work after which it is replaced, well before its own limit of CPU time.
const WORK_MAX: Duration = Duration::from_secs(30);

/// A process that runs one script at a time.
pub struct Runner {
    /// Killed when it is dropped.
    _process: Child,
    jobs: ChildStdin,
    answers: BufReader<ChildStdout>,
    count: u32,
    worked: Duration,
}

impl Runner {
    /// Starts a process of `program`.
    pub fn start(program: &Path) -> io::Result<Self> {
        let mut process = Command::new(program)
            .arg(COMMAND)
            .env_clear()
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(jobs), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(io::Error::other("a runner was started without its pipes"));
        };
        Ok(Self {
            _process: process,
            jobs,
            answers: BufReader::new(answers),
            count: 0,
            worked: Duration::ZERO,
        })
    }

    /// Runs one job. After an error, or when it is given up, the runner must not be used again.
    pub async fn run(&mut self, job: &Job) -> io::Result<Answer> {
        let began = Instant::now();
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        if u64::try_from(line.len()).unwrap_or(u64::MAX) > JOB_BYTES_MAX {
            return Err(io::Error::other("the job is too large"));
        }
        self.jobs.write_all(&line).await?;
        self.jobs.flush().await?;
        let mut answer = Vec::new();
        let mut bounded = (&mut self.answers).take(ANSWER_BYTES_MAX);
        bounded.read_until(b'\n', &mut answer).await?;
        if answer.last() != Some(&b'\n') {
            return Err(io::Error::other("the runner ended without an answer"));
        }
        self.count += 1;
        self.worked += began.elapsed();
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Whether it may take another job.
    pub const fn is_fresh(&self) -> bool {
        self.count < JOBS_MAX && self.worked.as_secs() < WORK_MAX.as_secs()
    }
}
