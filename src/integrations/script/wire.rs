//! What the server and a script runner say to each other: one line of JSON each way, first the job, then its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line a runner takes.
pub const JOB_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Longest line a runner gives.
pub const ANSWER_BYTES_MAX: u64 = 128 * 1024;

/// One script to run or to check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub task: Task,
    pub code: String,
    /// What the script sees, by the name of the global variable.
    pub input: Value,
    pub timeout_ms: u64,
    /// What `Date` shows, in milliseconds after the epoch.
    pub now_ms: u64,
    /// What `Math.random` is drawn from.
    pub seed: u32,
}

/// What is to be done with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Run,
    /// Only read it: whether it could be run at all. The answer is null.
    Check,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What it returned.
    Returned(Value),
    Failed(ScriptFailure),
}

/// Why a script gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptFailure {
    pub kind: ScriptFailureKind,
    pub message: String,
    /// The line of the script, from 1, where it is known.
    pub line: Option<u32>,
    /// The column in that line, from 1.
    pub column: Option<u32>,
}

/// The kinds of failure; each is the script's own, so trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptFailureKind {
    /// It cannot be read.
    Syntax,
    /// It threw.
    Thrown,
    /// It ran too long.
    TimedOut,
    /// It took too much memory.
    OutOfMemory,
    /// It returned what is no JSON, or too much of it.
    BadResult,
}

impl ScriptFailureKind {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Syntax => "script_syntax",
            Self::Thrown => "script_failed",
            Self::TimedOut => "script_timeout",
            Self::OutOfMemory => "script_out_of_memory",
            Self::BadResult => "script_bad_result",
        }
    }
}
