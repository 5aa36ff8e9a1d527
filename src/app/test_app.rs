//! A whole server for tests: on a store of its own, without speech, with nothing that leaves the machine, and not listening.

use tokio::net::TcpListener;

use super::{App, storage};
use crate::store::Store;

/// Builds it; it lives as long as its folder.
pub(super) async fn build() -> (App, tempfile::TempDir) {
    build_over(|store| store).await
}

/// Builds it over what `dress` makes of its store.
pub(super) async fn build_over(dress: impl FnOnce(Store) -> Store) -> (App, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = crate::config::load(None).expect("the defaults");
    settings.server.bind = "127.0.0.1:0".to_owned();
    settings.store.url = format!("sqlite:{}", folder.path().join("test.db").display());
    settings.asr.model = "none".to_owned();
    settings.effects.mode = crate::actors::settings::EffectsMode::Outbox;
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .build_recorder()
        .handle();
    let listener = TcpListener::bind(&settings.server.bind)
        .await
        .expect("a free port");
    let mut storage = storage::open(&settings.store).await.expect("it opens");
    storage.store = dress(storage.store);
    let app = Box::pin(App::over(storage, listener, settings, metrics))
        .await
        .expect("it builds");
    (app, folder)
}
