//! Why a simulation could not be carried out, in words that say what to do.

use std::path::PathBuf;

/// Why a simulation failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("no server answers at {url}: start one with `patchcord dev`, or name it with --server")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error(
        "{path} answered 403: the signature was refused; --account-sid, --auth-token and --public-url must be the server's"
    )]
    Refused { path: String },
    #[error("{path} answered {status}: {body}")]
    Answered { path: String, status: u16, body: String },
    #[error("{url} is not an address that can be simulated against: expected http://host:port")]
    Address { url: String },
    #[error("{}: {why}", file.display())]
    Audio { file: PathBuf, why: String },
    #[error("the TwiML cannot be followed: {why}; it was: {twiml}")]
    Twiml { why: String, twiml: String },
    #[error("the media stream at {url} could not be opened")]
    MediaOpen {
        url: String,
        #[source]
        source: Box<tokio_tungstenite::tungstenite::Error>,
    },
    #[error("the server closed the media stream in the middle of the call: {why}")]
    MediaClosed { why: String },
    #[error("signing in for the live stream failed: {why}; see --email, --password, --token")]
    SignIn { why: String },
    #[error("the live stream ended: {why}")]
    Live { why: String },
    #[error("the output cannot be written")]
    Output(#[source] std::io::Error),
}
