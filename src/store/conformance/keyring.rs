//! The key that the store's secrets are sealed under.

use crate::{domain::sealing::WrappedKeys, store::Store};

fn wrapped(number: u8) -> WrappedKeys {
    WrappedKeys {
        master: format!("master {number}"),
        sealed: "sealed".to_owned(),
    }
}

pub(crate) async fn a_key_is_made_once_and_wrapped_anew_by_whoever_has_read_it(store: &Store) {
    let keyring = &store.keyring;
    assert_eq!(keyring.wrapped_keys().await.expect("read"), None);
    let (one, other) = tokio::join!(keyring.rewrap(None, wrapped(1)), keyring.rewrap(None, wrapped(2)));
    let stands = one.expect("written");
    assert_eq!(other.expect("written"), stands, "both have the same");
    let next = keyring
        .rewrap(Some(stands.clone()), wrapped(3))
        .await
        .expect("written");
    assert_eq!(next, wrapped(3));
    let late = keyring.rewrap(Some(stands), wrapped(4)).await.expect("answered");
    assert_eq!(late, wrapped(3), "whoever read the one before changes nothing");
    assert_eq!(keyring.wrapped_keys().await.expect("read"), Some(wrapped(3)));
}
