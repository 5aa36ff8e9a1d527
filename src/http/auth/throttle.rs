//! Slows down whoever guesses passwords: one allowance per account, one per address.
//!
//! An allowance refills with time. The tables are bounded: beyond that, strangers share one allowance.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::token;
use crate::http::error::ApiError;

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

/// The allowances.
pub struct Throttle {
    accounts: DefaultKeyedRateLimiter<Key>,
    addresses: DefaultKeyedRateLimiter<Key>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            accounts: RateLimiter::keyed(quota(ACCOUNT_REFILL, ACCOUNT_BURST)),
            addresses: RateLimiter::keyed(quota(ADDRESS_REFILL, ADDRESS_BURST)),
        }
    }
}

impl Throttle {
    /// Takes one try from the allowance of `email` and of `address`.
    ///
    /// # Errors
    /// [`ApiError::Throttled`] with the time to wait when either is used up.
    pub fn take(&self, email: &str, address: Option<IpAddr>) -> Result<(), ApiError> {
        take_one(&self.addresses, token::hash(&network(address)))?;
        take_one(&self.accounts, token::hash(&format!("account {email}")))
    }

    /// Takes one try from the allowance of `address` alone.
    ///
    /// # Errors
    /// [`ApiError::Throttled`] with the time to wait when it is used up.
    pub fn take_address(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        take_one(&self.addresses, token::hash(&network(address)))
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

    fn allowed(tries: usize, mut one: impl FnMut(usize) -> Result<(), ApiError>) -> usize {
        (0..tries).filter(|at| one(*at).is_ok()).count()
    }

    #[test]
    fn ten_thousand_tries_on_one_account_from_many_addresses_pass_ten_times() {
        let throttle = Throttle::default();
        let passed = allowed(10_000, |at| {
            let [_, _, high, low] = u32::try_from(at).expect("a small number").to_be_bytes();
            throttle.take("ann@example.com", Some(IpAddr::from([10, 0, high, low])))
        });
        assert_eq!(passed, usize::try_from(ACCOUNT_BURST).expect("a small number"));
    }

    #[test]
    fn one_network_of_many_addresses_has_one_allowance() {
        let throttle = Throttle::default();
        let passed = allowed(1_000, |at| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::try_from(at).expect("small"));
            throttle.take(&format!("user{at}@example.com"), Some(IpAddr::V6(address)))
        });
        assert_eq!(passed, usize::try_from(ADDRESS_BURST).expect("a small number"));
    }

    #[test]
    fn the_tables_stay_bounded() {
        let throttle = Throttle::default();
        for at in 0..KEYS_MAX * 2 {
            let _ = throttle.accounts.check_key(&token::hash(&at.to_string()));
        }
        assert!(take_one(&throttle.accounts, token::hash("one more")).is_ok());
        let before = throttle.accounts.len();
        let _ = take_one(&throttle.accounts, token::hash("and another"));
        assert!(throttle.accounts.len() <= before + 1);
    }
}
