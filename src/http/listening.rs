//! Takes connections in, each with a time for the head of a request, and at most so many at once.
//!
//! In: the listener and the router. Out: connections served until a stop is asked for, then those under way to their end.
//! Whoever sends a head drop by drop, or nothing at all, is hung up on. When there are as many connections as may be, others wait
//! in the system's queue. HTTP/1.1 only: to tell HTTP/2 from it, the beginning would have to be waited for without a bound.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo, serve::Listener};
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower_service::Service;

use super::settings::HttpSettings;

/// Serves `router` on `listener` until `stop` is done; returns when the last connection has ended.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    settings: &HttpSettings,
    stop: impl Future<Output = ()>,
) {
    let head_within = Duration::from_secs(settings.header_timeout_s);
    let room = Arc::new(Semaphore::new(settings.connections_max));
    let mut services = router.into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        // What has ended is forgotten.
        while open.try_join_next().is_some() {}
        let taken = async {
            let place = Arc::clone(&room).acquire_owned().await;
            let (stream, peer) = Listener::accept(&mut listener).await;
            (place, stream, peer)
        };
        let (place, stream, peer) = tokio::select! {
            taken = taken => taken,
            () = &mut stop => break,
        };
        let service = service_for(&mut services, peer).await;
        let stopped = stopped.clone();
        open.spawn(async move {
            let _place = place;
            follow(stream, service, head_within, stopped).await;
        });
    }
    drop(listener);
    stopping.send_replace(true);
    while open.join_next().await.is_some() {}
}

type Services = IntoMakeServiceWithConnectInfo<Router, SocketAddr>;
type ServiceOf = <Services as Service<SocketAddr>>::Response;

async fn service_for(services: &mut Services, peer: SocketAddr) -> ServiceOf {
    let made: Result<ServiceOf, Infallible> = services.call(peer).await;
    made.unwrap_or_else(|never| match never {})
}

/// Serves one connection to its end.
async fn follow(
    stream: TcpStream,
    service: ServiceOf,
    head_within: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    // Small answers must not wait for the next packet.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection.with_upgrades());
    // An error means that the sender is gone, which is a stop as well.
    let stop = async { stopped.wait_for(|is_stopping| *is_stopping).await.is_ok() };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection broke off");
    }
}
