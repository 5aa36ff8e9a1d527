//! The secrets that open the API: drawn from the system's random source, kept only as SHA-256.
//!
//! A token says what it is by its prefix, so that a leaked one is recognised and a wrong one is refused without a look-up.

use rustls::crypto::ring;
use sha2::{Digest, Sha256};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{domain::secret::Secret, http::error::ApiError};

/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;
/// Random bytes in a password that is made for a person.
const PASSWORD_BYTES: usize = 18;
/// Characters of a token after its prefix: 32 bytes in unpadded base64.
const TOKEN_CHARS: usize = 43;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Opens the API for 15 minutes.
    Access,
    /// Buys one new pair of tokens.
    Refresh,
    /// Opens the API for a program until it is deleted.
    Key,
    /// Opens one WebSocket, or signs one browser in.
    Ticket,
    /// Makes the first administrator.
    Setup,
    /// Opens one incoming webhook.
    Webhook,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "pca_",
            Self::Refresh => "pcr_",
            Self::Key => "pck_",
            Self::Ticket => "pct_",
            Self::Setup => "pcs_",
            Self::Webhook => "pcw_",
        }
    }

    /// What `text` claims to be, if it has the shape of a token at all.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        [
            Self::Access,
            Self::Refresh,
            Self::Key,
            Self::Ticket,
            Self::Setup,
            Self::Webhook,
        ]
        .into_iter()
        .find(|kind| {
            text.strip_prefix(kind.prefix()).is_some_and(|rest| {
                rest.len() == TOKEN_CHARS
                    && rest
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            })
        })
    }
}

/// SHA-256 of a token: what is kept and looked up.
pub type TokenHash = [u8; 32];

/// A token that was shown: enough to look it up, and of no use to whoever finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    pub kind: TokenKind,
    pub hash: TokenHash,
}

impl Shown {
    /// What `token` opens, if it has the shape of a token at all.
    #[must_use]
    pub fn of(token: &str) -> Option<Self> {
        let kind = TokenKind::of(token)?;
        Some(Self {
            kind,
            hash: hash(token),
        })
    }

    /// As text, for another node.
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(self.hash))
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let kind = TokenKind::of(text)?;
        let hash = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        Some(Self {
            kind,
            hash: hash.try_into().ok()?,
        })
    }
}

/// Draws a token.
///
/// # Errors
/// [`ApiError::Internal`] when the system has no random bytes to give.
pub fn draw(kind: TokenKind) -> Result<Secret, ApiError> {
    let bytes = random::<TOKEN_BYTES>()?;
    Ok(Secret::new(format!(
        "{}{}",
        kind.prefix(),
        URL_SAFE_NO_PAD.encode(bytes)
    )))
}

/// Draws a password for a person who has not chosen one: 24 characters.
///
/// # Errors
/// [`ApiError::Internal`] when the system has no random bytes to give.
pub fn draw_password() -> Result<Secret, ApiError> {
    let bytes = random::<PASSWORD_BYTES>()?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Draws bytes from the system.
///
/// # Errors
/// [`ApiError::Internal`] when it has none to give.
pub fn random<const BYTES: usize>() -> Result<[u8; BYTES], ApiError> {
    let mut bytes = [0_u8; BYTES];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| ApiError::Internal("the system's random source failed".into()))?;
    Ok(bytes)
}

/// Returns what is kept of a token. A token holds 256 random bits, so a fast hash is enough and look-ups leak no prefix.
#[must_use]
pub fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether two hashes are the same, in a time that says nothing about where they differ.
#[must_use]
pub fn is_same(one: &TokenHash, other: &TokenHash) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_goes_to_another_node_and_back() {
        let token = draw(TokenKind::Key).expect("random bytes");
        let shown = Shown::of(token.expose()).expect("a token");
        assert_eq!(Shown::from_text(&shown.to_text()), Some(shown));
        assert!(!shown.to_text().contains(&token.expose()[4..]));
        assert_eq!(Shown::from_text("pck_short"), None);
    }

    #[test]
    fn tokens_differ_and_say_what_they_are() {
        let one = draw(TokenKind::Access).expect("random bytes");
        let two = draw(TokenKind::Access).expect("random bytes");
        assert_ne!(one.expose(), two.expose());
        assert_eq!(TokenKind::of(one.expose()), Some(TokenKind::Access));
        assert!(is_same(&hash(one.expose()), &hash(one.expose())));
        assert!(!is_same(&hash(one.expose()), &hash(two.expose())));
        assert_eq!(TokenKind::of("pca_short"), None);
        assert_eq!(TokenKind::of("eyJhbGciOiJub25lIn0.e30."), None);
        assert_eq!(TokenKind::of(&format!("pck_{}", "é".repeat(21) + "a")), None);
    }
}
