//! Where an effect waits: whose it is, by what it goes out, and what its failures are counted by.

use super::{
    effects::Ask,
    lanes::{Lane, LaneKind},
    rates::{Limits, RateOf},
};
use crate::{
    domain::{consent::ContactChannel, phone::PhoneNumber},
    workflows::{Effect, Provider, effect::Errand},
};

/// The places of one provider; looking up has its own, so that it holds up nobody who wants to send.
pub type Line = (Provider, Ask);

/// Where something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub line: Line,
    pub lane: Lane,
}

impl Place {
    /// Where a question about `effect` waits. `sender` is the number that is used where the effect names none.
    #[must_use]
    pub fn of(effect: &Effect, ask: Ask, sender: &str) -> Self {
        let (kind, by) = match effect.request.errand() {
            Errand::Phone { channel, from, .. } => {
                let kind = match channel {
                    ContactChannel::Sms => LaneKind::Messages,
                    ContactChannel::Call => LaneKind::Calls,
                    ContactChannel::Email => LaneKind::Service,
                };
                (kind, from.map_or(sender, PhoneNumber::as_str))
            }
            Errand::Mail { .. } | Errand::Service => (LaneKind::Service, ""),
            Errand::Server { url } => (LaneKind::Server, host_of(url)),
            Errand::House => (LaneKind::House, ""),
        };
        Self {
            line: (effect.provider(), ask),
            lane: Lane {
                account_id: effect.account_id,
                kind,
                by: by.to_owned(),
            },
        }
    }

    /// The rates that all nodes keep together for what is sent from here: whose, by what name, how many a second.
    #[must_use]
    pub fn shared_rates(&self, limits: &Limits) -> Vec<(RateOf, String, u32)> {
        let by = &self.lane.by;
        let rates = match (self.line.1, self.lane.kind) {
            (Ask::Act, LaneKind::Messages) => vec![
                (RateOf::Sender, format!("messages:{by}"), limits.messages_per_s),
                (
                    RateOf::Account,
                    format!("messages:{}", self.lane.account_id),
                    limits.account_messages_per_s,
                ),
            ],
            (Ask::Act, LaneKind::Calls) => vec![(RateOf::Sender, format!("calls:{by}"), limits.calls_per_s)],
            (Ask::Act, LaneKind::Service | LaneKind::Server | LaneKind::House) | (Ask::LookUp, _) => {
                Vec::new()
            }
        };
        rates
            .into_iter()
            .filter(|(_, _, per_second)| *per_second > 0)
            .collect()
    }

    /// What failures are counted by; `None` for what stays in the house, and for looking up.
    #[must_use]
    pub fn target(&self) -> Option<String> {
        let (provider, ask) = self.line;
        match (ask, self.lane.kind) {
            (Ask::LookUp, _) | (Ask::Act, LaneKind::House) => None,
            (Ask::Act, LaneKind::Server) => Some(format!("{provider} {}", self.lane.by)),
            (Ask::Act, LaneKind::Messages | LaneKind::Calls | LaneKind::Service) => {
                Some(provider.to_string())
            }
        }
    }
}

/// The host of an address, as far as it can be told without reading it whole.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_from_an_address() {
        for (url, host) in [
            ("https://hooks.example.com/a?b", "hooks.example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://user:pass@example.com/x", "example.com"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
