//! Incoming webhooks.

use super::samples::{account_id, hash, user, user_id, webhook, webhook_id};
use crate::store::{Store, StoreError, webhooks::IncomingWebhook};

pub(crate) async fn an_address_is_found_by_its_person_and_its_account_until_it_is_deleted(store: &Store) {
    let (ann, ben) = (user(account_id(1), 1), user(account_id(1), 2));
    let stranger = user(account_id(2), 3);
    for made in [
        webhook(&ben, 3),
        webhook(&ann, 2),
        webhook(&ann, 1),
        webhook(&stranger, 4),
    ] {
        store.webhooks.create(made).await.expect("written");
    }
    let list = async |account| store.webhooks.list(account).await.expect("read");
    let of_user = async |user| store.webhooks.of_user(user).await.expect("read");
    assert_eq!(
        list(account_id(1)).await,
        [webhook(&ann, 1), webhook(&ann, 2), webhook(&ben, 3)]
    );
    assert_eq!(of_user(user_id(1)).await, [webhook(&ann, 1), webhook(&ann, 2)]);
    assert_eq!(of_user(user_id(9)).await, []);
    store
        .webhooks
        .delete(account_id(1), webhook_id(1))
        .await
        .expect("deleted");
    assert_eq!(of_user(user_id(1)).await, [webhook(&ann, 2)]);
    assert_eq!(list(account_id(1)).await, [webhook(&ann, 2), webhook(&ben, 3)]);
    assert!(matches!(
        store.webhooks.delete(account_id(1), webhook_id(1)).await,
        Err(StoreError::Missing { .. })
    ));
}

pub(crate) async fn a_rotated_token_replaces_the_one_before(store: &Store) {
    let made = webhook(&user(account_id(1), 1), 1);
    store.webhooks.create(made.clone()).await.expect("written");
    let rotated = store.webhooks.rotate(account_id(1), webhook_id(1), hash(9)).await;
    let expected = IncomingWebhook {
        token_hash: hash(9),
        ..made
    };
    assert_eq!(rotated.expect("written"), expected);
    assert_eq!(
        store.webhooks.of_user(user_id(1)).await.expect("read"),
        [expected]
    );
    assert!(matches!(
        store.webhooks.rotate(account_id(1), webhook_id(2), hash(8)).await,
        Err(StoreError::Missing { .. })
    ));
}
