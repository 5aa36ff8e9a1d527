//! Slows down whoever guesses passwords or addresses of webhooks: one allowance per account, one per address. And whoever sends more
//! than a webhook is to take in.
//!
//! An allowance refills with time. The tables are bounded: beyond that, strangers share one allowance. Where nodes share a Redis they
//! share the allowances too; without it each node has its own.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::token;
use crate::{
    bus::redis::allowance::{Allowances, Rate},
    domain::ids::WebhookId,
    http::error::ApiError,
};

/// Tries in a row for one account before it refills one every [`ACCOUNT_REFILL`].
const ACCOUNT_BURST: u32 = 10;
const ACCOUNT_REFILL: Duration = Duration::from_secs(6);
/// Tries in a row from one address before it refills one every [`ADDRESS_REFILL`].
const ADDRESS_BURST: u32 = 30;
const ADDRESS_REFILL: Duration = Duration::from_secs(2);
/// Most accounts or addresses told apart at a time.
const KEYS_MAX: usize = 20_000;

/// Who is trying: an account by its e-mail, or an address.
type Key = [u8; 32];

/// What an address tries. Each has an allowance of its own: people who share an address, behind a proxy say, can still sign in while
/// somebody among them guesses something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trying {
    /// Signing in or registering.
    SignIn,
    /// Exchanging a refresh token.
    Refresh,
    /// An address of a webhook that opens nothing.
    Webhook,
}

impl Trying {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Refresh => "refresh",
            Self::Webhook => "webhook",
        }
    }
}

/// The allowances.
pub struct Throttle {
    shared: Option<Allowances>,
    accounts: DefaultKeyedRateLimiter<Key>,
    addresses: DefaultKeyedRateLimiter<Key>,
    /// Each node counts its own; `None`: no bound.
    webhooks: Option<DefaultKeyedRateLimiter<Key>>,
}

impl Throttle {
    /// Fresh allowances; `shared` are those of all nodes. `webhook_events_per_s` is for each webhook; 0: no bound.
    #[must_use]
    pub fn new(shared: Option<Allowances>, webhook_events_per_s: u32) -> Self {
        Self {
            shared,
            accounts: RateLimiter::keyed(quota(ACCOUNT_REFILL, ACCOUNT_BURST)),
            addresses: RateLimiter::keyed(quota(ADDRESS_REFILL, ADDRESS_BURST)),
            webhooks: NonZeroU32::new(webhook_events_per_s)
                .map(|per_s| RateLimiter::keyed(Quota::per_second(per_s))),
        }
    }

    /// Takes one try from the allowance of `email` and of `address`.
    ///
    /// # Errors
    /// [`ApiError::Throttled`] with the time to wait when either is used up.
    pub async fn take(&self, email: &str, address: Option<IpAddr>) -> Result<(), ApiError> {
        self.take_address(Trying::SignIn, address).await?;
        let key = token::hash(&format!("account {email}"));
        take_one(&self.accounts, key)?;
        self.take_shared(key, ACCOUNT_REFILL, ACCOUNT_BURST).await
    }

    /// Takes one try from what `address` may try of this kind.
    ///
    /// # Errors
    /// [`ApiError::Throttled`] with the time to wait when it is used up.
    pub async fn take_address(&self, what: Trying, address: Option<IpAddr>) -> Result<(), ApiError> {
        let key = token::hash(&format!("{} {}", what.as_str(), network(address)));
        take_one(&self.addresses, key)?;
        self.take_shared(key, ADDRESS_REFILL, ADDRESS_BURST).await
    }

    /// Takes one event from the allowance of a webhook.
    ///
    /// # Errors
    /// [`ApiError::Throttled`] with the time to wait when it is used up.
    pub fn take_webhook(&self, id: WebhookId) -> Result<(), ApiError> {
        match &self.webhooks {
            Some(limiter) => take_one(limiter, token::hash(&id.to_string())),
            None => Ok(()),
        }
    }

    /// Takes one try from what all nodes allow together.
    async fn take_shared(&self, key: Key, interval: Duration, burst: u32) -> Result<(), ApiError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let name = format!("sign-in:{}", URL_SAFE_NO_PAD.encode(key));
        match shared.take(&name, Rate { interval, burst }).await {
            Ok(None) => Ok(()),
            Ok(Some(retry_after)) => Err(ApiError::Throttled { retry_after }),
            Err(fault) => {
                tracing::warn!(%fault, "tries are counted by this node alone");
                Ok(())
            }
        }
    }
}

fn take_one(limiter: &DefaultKeyedRateLimiter<Key>, key: Key) -> Result<(), ApiError> {
    if limiter.len() >= KEYS_MAX {
        limiter.retain_recent();
    }
    let key = if limiter.len() >= KEYS_MAX {
        token::hash("everyone else")
    } else {
        key
    };
    limiter.check_key(&key).map_err(|not_until| ApiError::Throttled {
        retry_after: not_until.wait_time_from(governor::clock::DefaultClock::default().now()),
    })
}

fn quota(refill: Duration, burst: u32) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(refill).map_or_else(|| Quota::per_second(burst), |quota| quota.allow_burst(burst))
}

/// An IPv4 address counts alone; of an IPv6 address the first 64 bits, for a single customer gets that many.
fn network(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => "address unknown".to_owned(),
        Some(IpAddr::V4(address)) => format!("address {address}"),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("address {}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn allowed<T: Future<Output = Result<(), ApiError>>>(
        tries: usize,
        one: impl Fn(usize) -> T,
    ) -> usize {
        let mut passed = 0;
        for at in 0..tries {
            passed += usize::from(one(at).await.is_ok());
        }
        passed
    }

    #[tokio::test]
    async fn ten_thousand_tries_on_one_account_from_many_addresses_pass_ten_times() {
        let throttle = Throttle::new(None, 0);
        let begun = std::time::Instant::now();
        let passed = allowed(10_000, |at| {
            let [_, _, high, low] = u32::try_from(at).expect("a small number").to_be_bytes();
            throttle.take("ann@example.com", Some(IpAddr::from([10, 0, high, low])))
        })
        .await;
        // A busy machine takes so long that some are refilled meanwhile.
        let refilled = begun.elapsed().as_secs() / ACCOUNT_REFILL.as_secs();
        let burst = u64::from(ACCOUNT_BURST);
        let passed = u64::try_from(passed).expect("a small number");
        assert!((burst..=burst + refilled).contains(&passed), "{passed}");
    }

    #[tokio::test]
    async fn one_network_of_many_addresses_has_one_allowance() {
        let throttle = Throttle::new(None, 0);
        let throttle = &throttle;
        let passed = allowed(1_000, |at| async move {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::try_from(at).expect("small"));
            throttle
                .take(&format!("user{at}@example.com"), Some(IpAddr::V6(address)))
                .await
        })
        .await;
        assert_eq!(passed, usize::try_from(ADDRESS_BURST).expect("a small number"));
    }

    #[tokio::test]
    async fn guesses_of_one_kind_leave_the_others_alone() {
        let throttle = Throttle::new(None, 0);
        let throttle = &throttle;
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        let burst = usize::try_from(ADDRESS_BURST).expect("a small number");
        let webhooks = allowed(100, |_| throttle.take_address(Trying::Webhook, address)).await;
        let refreshes = allowed(100, |_| throttle.take_address(Trying::Refresh, address)).await;
        assert_eq!((webhooks, refreshes), (burst, burst));
        assert!(throttle.take("ann@example.com", address).await.is_ok());
    }

    #[test]
    fn a_webhook_takes_in_as_much_as_it_is_allowed_and_others_their_own() {
        let throttle = Throttle::new(None, 5);
        let (one, other) = (WebhookId::fresh(), WebhookId::fresh());
        let passed = |id| (0..20).filter(|_| throttle.take_webhook(id).is_ok()).count();
        assert_eq!((passed(one), passed(other)), (5, 5));
        let free = Throttle::new(None, 0);
        assert!((0..1_000).all(|_| free.take_webhook(one).is_ok()));
    }

    #[test]
    fn the_tables_stay_bounded() {
        let throttle = Throttle::new(None, 0);
        for at in 0..KEYS_MAX * 2 {
            let _ = throttle.accounts.check_key(&token::hash(&at.to_string()));
        }
        assert!(take_one(&throttle.accounts, token::hash("one more")).is_ok());
        let before = throttle.accounts.len();
        let _ = take_one(&throttle.accounts, token::hash("and another"));
        assert!(throttle.accounts.len() <= before + 1);
    }
}
