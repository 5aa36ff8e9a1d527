//! Connections to one SMTP server, kept for a while, and the two phases of sending over them.
//!
//! Before the server said that it takes the message's data, nothing was sent and every failure is definite. After that, only
//! its answer tells: a connection that breaks then leaves the outcome unknown.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error as WireError,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::ClientId,
    },
};
use tokio::time::Instant;

use super::{
    address::{SmtpAddress, Tls},
    message::Letter,
};
use crate::telemetry::traces::{self, Span};

/// Connections kept for the next message.
const IDLE_MAX: usize = 4;
/// How long one is kept.
const IDLE_LIFE: Duration = Duration::from_secs(30);
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// From the connection to the server's word that it takes the data.
const ASKING_MAX: Duration = Duration::from_secs(20);
/// From the data to the server's word that it has them.
const HANDING_OVER_MAX: Duration = Duration::from_secs(25);

/// Why a message was not taken, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SmtpError {
    /// Nothing was sent.
    #[error("the mail server cannot be reached: {0}")]
    Unreached(String),
    /// Nothing was sent, and nothing will be until the settings change.
    #[error("{0}")]
    Setup(String),
    /// The server said no.
    #[error("{code} {words}")]
    Refused { code: u16, words: String },
    /// The connection broke after the data were sent.
    #[error("the mail server did not say whether it took the message: {0}")]
    Lost(String),
}

impl SmtpError {
    /// What went wrong, in a word.
    const fn word(&self) -> &'static str {
        match self {
            Self::Unreached(_) => "unreached",
            Self::Setup(_) => "setup",
            Self::Refused { .. } => "refused",
            Self::Lost(_) => "lost",
        }
    }
}

/// One mail server.
pub(super) struct MailServer {
    address: SmtpAddress,
    trusted: Vec<Certificate>,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl MailServer {
    pub(super) fn new(address: SmtpAddress, trusted: Vec<Certificate>) -> Self {
        Self {
            address,
            trusted,
            idle: Mutex::default(),
        }
    }

    /// Hands a message over, as a span of the trace that it belongs to. Returns the server's words.
    pub(super) async fn send(&self, letter: &Letter) -> Result<String, SmtpError> {
        let span = Span::below_current("request").map(|span| {
            span.asking()
                .with("network.protocol.name", "smtp")
                .with("server.address", self.address.host.clone())
                .with("server.port", i64::from(self.address.port))
        });
        let sent = self.hand_over(letter).await;
        traces::end(span.map(|span| match &sent {
            Ok(_) => span,
            Err(error) => span.failed(error.word()),
        }));
        sent
    }

    async fn hand_over(&self, letter: &Letter) -> Result<String, SmtpError> {
        let asked = tokio::time::timeout(ASKING_MAX, async {
            let mut connection = self.connection().await?;
            ask(&mut connection, &letter.envelope).await?;
            Ok(connection)
        });
        let mut connection = asked
            .await
            .map_err(|_| SmtpError::Unreached(format!("no answer within {} s", ASKING_MAX.as_secs())))??;
        let handed = tokio::time::timeout(HANDING_OVER_MAX, connection.message(&letter.bytes)).await;
        let response = match handed {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(refusal(&error).unwrap_or_else(|| SmtpError::Lost(error.to_string())));
            }
            Err(_) => {
                let waited = format!("no answer within {} s", HANDING_OVER_MAX.as_secs());
                return Err(SmtpError::Lost(waited));
            }
        };
        self.keep(connection);
        Ok(response.message().collect::<Vec<_>>().join(" "))
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                Some((mut connection, since)) => {
                    if since.elapsed() < IDLE_LIFE && connection.test_connected().await {
                        return Ok(connection);
                    }
                }
                None => return self.open().await,
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.has_broken() {
            idle.push((connection, Instant::now()));
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let SmtpAddress {
            host,
            port,
            tls,
            credentials,
        } = &self.address;
        let hello = ClientId::default();
        let implicit = match tls {
            Tls::Implicit => Some(self.tls_parameters()?),
            Tls::Required | Tls::Opportunistic | Tls::Never => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (host.as_str(), *port),
            Some(CONNECT_MAX),
            &hello,
            implicit,
            None,
        )
        .await
        .map_err(|error| opening(&error))?;
        let upgrades = match tls {
            Tls::Required if !connection.can_starttls() => {
                return Err(SmtpError::Setup(
                    "the mail server offers no STARTTLS, which email.smtp_url asks for".to_owned(),
                ));
            }
            Tls::Required => true,
            Tls::Opportunistic => connection.can_starttls(),
            Tls::Implicit | Tls::Never => false,
        };
        if upgrades {
            connection
                .starttls(self.tls_parameters()?, &hello)
                .await
                .map_err(|error| opening(&error))?;
        }
        if let Some((user, password)) = credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
                .await
                .map_err(|error| opening(&error))?;
        }
        Ok(connection)
    }

    fn tls_parameters(&self) -> Result<TlsParameters, SmtpError> {
        let mut builder = TlsParameters::builder(self.address.host.clone());
        for certificate in &self.trusted {
            builder = builder.add_root_certificate(certificate.clone());
        }
        builder
            .build()
            .map_err(|error| SmtpError::Setup(error.to_string()))
    }
}

/// Names sender and receivers, and asks to hand over the data.
async fn ask(connection: &mut AsyncSmtpConnection, envelope: &Envelope) -> Result<(), SmtpError> {
    let asked = async {
        connection
            .command(Mail::new(envelope.from().cloned(), vec![]))
            .await?;
        for to in envelope.to() {
            connection.command(Rcpt::new(to.clone(), vec![])).await?;
        }
        connection.command(Data).await
    };
    match asked.await {
        Ok(_) => Ok(()),
        Err(error) => {
            let refused = refusal(&error).unwrap_or_else(|| SmtpError::Unreached(error.to_string()));
            connection.abort().await;
            Err(refused)
        }
    }
}

/// What the server itself said no with.
fn refusal(error: &WireError) -> Option<SmtpError> {
    let code = u16::from(error.status()?);
    let words = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Some(SmtpError::Refused { code, words })
}

/// What a failure before the first command means.
fn opening(error: &WireError) -> SmtpError {
    if let Some(refused) = refusal(error) {
        return refused;
    }
    if error.is_tls() || error.is_client() {
        return SmtpError::Setup(error.to_string());
    }
    SmtpError::Unreached(error.to_string())
}
