//! Reads the address of an SMTP server: host, port, credentials, and how the way there is kept secret.

use url::Url;

use crate::domain::secret::Secret;

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte: `smtps`.
    Implicit,
    /// By STARTTLS, or nothing is sent.
    Required,
    /// By STARTTLS where the server offers it.
    Opportunistic,
    Never,
}

/// Where and how an SMTP server is reached.
#[derive(Debug, Clone)]
pub struct SmtpAddress {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub credentials: Option<(String, Secret)>,
}

/// The text is no address of an SMTP server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address like `smtps://user:password@mail.example.com:465` or `smtp://user:password@mail.example.com:587`, with `?tls=required`, `opportunistic` or `never` behind it if need be; a password's special characters are written as %40"
)]
pub struct AddressError;

impl SmtpAddress {
    /// Reads `smtp://` and `smtps://` addresses. With credentials, `smtp://` to another machine asks for STARTTLS: a password
    /// does not travel in the open.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text).map_err(|_not_an_address| AddressError)?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(AddressError)?;
        let is_near = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            ("", Some(_)) | (_, None) => return Err(AddressError),
            (user, Some(password)) => Some((plain(user)?, Secret::new(plain(password)?))),
        };
        let asked = url
            .query_pairs()
            .find(|(name, _)| name == "tls")
            .map(|(_, value)| value.into_owned());
        let (tls, port) = match (url.scheme(), asked.as_deref()) {
            ("smtps", None) => (Tls::Implicit, 465),
            ("smtp", Some("required")) => (Tls::Required, 587),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic, 587),
            ("smtp", Some("never")) => (Tls::Never, 25),
            ("smtp", None) if credentials.is_some() && !is_near => (Tls::Required, 587),
            ("smtp", None) => (Tls::Opportunistic, 587),
            _ => return Err(AddressError),
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            tls,
            credentials,
        })
    }
}

/// Reads `%40` as `@`.
fn plain(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits =
            [rest.next(), rest.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        let [Some(high), Some(low)] = digits else {
            return Err(AddressError);
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_two_digits| AddressError)?);
    }
    String::from_utf8(bytes).map_err(|_not_text| AddressError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_this_machine_only_encrypted_unless_told_otherwise() {
        let tls = |text: &str| SmtpAddress::parse(text).map(|address| (address.tls, address.port));
        assert_eq!(tls("smtps://a:b@mail.example.com"), Ok((Tls::Implicit, 465)));
        assert_eq!(tls("smtp://a:b@mail.example.com"), Ok((Tls::Required, 587)));
        assert_eq!(tls("smtp://a:b@127.0.0.1:2525"), Ok((Tls::Opportunistic, 2525)));
        assert_eq!(tls("smtp://mail.example.com"), Ok((Tls::Opportunistic, 587)));
        assert_eq!(tls("smtp://a:b@mail.example.com?tls=never"), Ok((Tls::Never, 25)));
    }

    #[test]
    fn special_characters_are_read_and_nonsense_is_refused() {
        let address =
            SmtpAddress::parse("smtp://ann%40example.com:p%3Aw@mail.example.com").expect("an address");
        let (user, password) = address.credentials.expect("both");
        assert_eq!((user.as_str(), password.expose()), ("ann@example.com", "p:w"));
        for wrong in [
            "",
            "mail.example.com:25",
            "http://mail.example.com",
            "smtp://ann@mail.example.com",
            "smtp://mail.example.com?tls=maybe",
        ] {
            assert!(SmtpAddress::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
