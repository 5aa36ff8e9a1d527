//! What can be asked of `patchcord simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{cli::demo, domain::message::Direction};

/// Plays calls into a running server as Twilio would, and prints what comes back.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Address of the running server.
    #[arg(
        long,
        value_name = "URL",
        env = "PATCHCORD_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// Address under which the server believes the outside reaches it; signatures are made over it. Default: --server.
    #[arg(long, value_name = "URL", env = "PATCHCORD_SERVER__PUBLIC_URL")]
    pub public_url: Option<String>,
    /// The caller's side: WAV, 8 kHz mono, μ-law or 16 bit. Default: the demonstration call.
    #[arg(long, value_name = "FILE")]
    pub caller: Option<PathBuf>,
    /// The agent's side, on the same time line.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,
    /// Play this many seconds of silence on both sides instead of audio.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["caller", "agent"])]
    pub silence: Option<usize>,
    /// Send this text message from the customer's number instead of a call, and show what is answered.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["caller", "agent", "silence", "rotate", "speed", "status", "direction", "calls"])]
    pub sms: Option<String>,
    /// Let each of several calls begin at another place of the audio, as calls do.
    #[arg(long)]
    pub rotate: bool,
    /// How fast audio is sent; 1 is real time.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub speed: f64,
    /// How the call goes.
    #[arg(long, value_enum, default_value_t = Ending::Completed)]
    pub status: Ending,
    /// Who called whom, seen from the account.
    #[arg(long, value_enum, default_value_t = CallDirection::Inbound)]
    pub direction: CallDirection,
    /// The customer's number. Several calls count up from it.
    #[arg(long, value_name = "NUMBER", default_value = "+14155550100")]
    pub from: String,
    /// The account's number.
    #[arg(long, value_name = "NUMBER", default_value = "+14155550199")]
    pub to: String,
    /// Calls at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub calls: u32,
    /// Seconds to wait, after the last call, for the runs it started.
    #[arg(long, default_value_t = 20)]
    pub settle: u64,
    /// Print JSON lines instead of text.
    #[arg(long)]
    pub json: bool,
    /// Do not watch the live stream: only play.
    #[arg(long)]
    pub blind: bool,
    #[arg(long, value_name = "AC…", env = "PATCHCORD_TWILIO__ACCOUNT_SID", default_value = demo::ACCOUNT_SID)]
    pub account_sid: String,
    #[arg(long, env = "PATCHCORD_TWILIO__AUTH_TOKEN", default_value = demo::AUTH_TOKEN, hide_env_values = true)]
    pub auth_token: String,
    /// Access token or API key for the live stream. Default: signs in with --email and --password.
    #[arg(long, env = "PATCHCORD_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    #[arg(long, env = "PATCHCORD_ADMIN__EMAIL", default_value = demo::EMAIL)]
    pub email: String,
    #[arg(long, env = "PATCHCORD_ADMIN__PASSWORD", default_value = demo::PASSWORD, hide_env_values = true)]
    pub password: String,
}

/// How a simulated call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ending {
    /// Both sides talk until the audio ends.
    Completed,
    NoAnswer,
    Busy,
    Failed,
    /// Nobody answers; a message is left.
    Voicemail,
}

impl Ending {
    /// Twilio's word for the status of a leg that went this way.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NoAnswer | Self::Voicemail => "no-answer",
            Self::Busy => "busy",
            Self::Failed => "failed",
        }
    }

    /// The SIP response Twilio reports beside it, where it does.
    #[must_use]
    pub const fn sip_code(self) -> Option<&'static str> {
        match self {
            Self::Completed | Self::Voicemail => None,
            Self::NoAnswer => Some("487"),
            Self::Busy => Some("486"),
            Self::Failed => Some("404"),
        }
    }
}

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CallDirection {
    /// The customer.
    Inbound,
    /// We did, through the API.
    Outbound,
}

impl From<CallDirection> for Direction {
    fn from(direction: CallDirection) -> Self {
        match direction {
            CallDirection::Inbound => Self::Inbound,
            CallDirection::Outbound => Self::Outbound,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed: &f64| *speed > 0.0 && speed.is_finite())
        .ok_or_else(|| "expected a number above 0".to_owned())
}
