//! The addresses of our doors, as Twilio sees them.
//!
//! In: the configured public address. Out: absolute addresses. Never from a request's `Host`: anybody can write that.

/// Asks Twilio to deliver a callback up to five times more: when it cannot connect, gets no answer, or gets a 5xx.
/// <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
pub const RETRIED: &str = "#rc=5&rp=ct,rt,5xx";

/// The public address, without a trailing slash.
#[derive(Debug, Clone, Copy)]
pub struct Addresses<'a>(pub &'a str);

impl Addresses<'_> {
    /// Returns the address of `path`.
    #[must_use]
    pub fn at(self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Returns the address of `path` for a callback that must not get lost.
    #[must_use]
    pub fn callback(self, path: &str) -> String {
        format!("{}{path}{RETRIED}", self.0)
    }

    /// Returns the address of `path` for a WebSocket.
    #[must_use]
    pub fn socket(self, path: &str) -> String {
        match self.0.strip_prefix("http") {
            Some(rest) => format!("ws{rest}{path}"),
            None => self.at(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_as_safe_as_the_public_address() {
        assert_eq!(Addresses("https://h.example").socket("/m"), "wss://h.example/m");
        assert_eq!(
            Addresses("http://127.0.0.1:80").socket("/m"),
            "ws://127.0.0.1:80/m"
        );
    }

    #[test]
    fn a_callback_carries_its_retry_rule_where_it_is_not_sent() {
        assert_eq!(
            Addresses("https://h.example").callback("/s"),
            "https://h.example/s#rc=5&rp=ct,rt,5xx"
        );
    }
}
