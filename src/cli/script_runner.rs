//! `patchcord script-runner`: runs the scripts that come on standard input, one after the other. Not for people.
//!
//! In: one job a line. Out: one answer a line. Before it reads anything it takes limits for itself that cannot be lifted again:
//! no further descriptor, no file that grows, no child, bounded memory and CPU time, and the lowest turn for the processor. Whoever
//! escapes the engine finds no environment, no file and no socket.

mod engine;

use std::io::{self, BufRead, BufReader, Read, Write};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, nice, setrlimit};

use crate::integrations::script::wire::{JOB_BYTES_MAX, Job};

/// Address space; a script's own memory is bounded far below by the engine.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// CPU time of the whole process; it is replaced before it needs as much.
const CPU_SECONDS_MAX: u64 = 60;
/// Standard input, output and error: there is never another.
const DESCRIPTORS: u64 = 3;
/// The last of them.
const STDERR: i32 = 2;
/// Scripts get the processor when nobody else wants it.
const NICENESS: i32 = 19;

/// Runs scripts until standard input ends.
///
/// # Errors
/// When a limit cannot be taken, or the other side breaks off.
pub fn run() -> anyhow::Result<()> {
    confine()?;
    let mut jobs = BufReader::new(io::stdin().lock());
    let mut answers = io::stdout().lock();
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut jobs).take(JOB_BYTES_MAX);
        bounded
            .read_until(b'\n', &mut line)
            .context("no job can be read")?;
        if line.is_empty() {
            return Ok(());
        }
        let job: Job = serde_json::from_slice(&line).context("the job cannot be read")?;
        let mut answer = serde_json::to_vec(&engine::run(&job)).context("the answer cannot be written")?;
        answer.push(b'\n');
        answers
            .write_all(&answer)
            .and_then(|()| answers.flush())
            .context("nobody takes the answer")?;
    }
}

fn confine() -> anyhow::Result<()> {
    close_inherited();
    let limits = [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, CPU_SECONDS_MAX),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in limits {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).with_context(|| format!("the limit {resource:?} cannot be taken"))?;
    }
    nice(NICENESS).context("the lowest turn cannot be taken")?;
    Ok(())
}

/// Closes what whoever started the server has left open for every process below it.
#[expect(
    unsafe_code,
    reason = "nothing in this process owns a descriptor beyond the first three yet"
)]
fn close_inherited() {
    // Elsewhere than on Linux there is no list; what Rust opens is not inherited anyway.
    let Ok(listed) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let number = |entry: io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let seen: Vec<i32> = listed.filter_map(number).collect();
    // The list's own is closed by now.
    let is_open = |number: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for descriptor in seen.into_iter().filter(|number| *number > STDERR).filter(is_open) {
        // SAFETY: it is open, and no value in this process refers to it.
        unsafe { rustix::io::close(descriptor) };
    }
}
