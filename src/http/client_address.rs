//! Whom a request comes from, when it comes by a proxy of the operator's.
//!
//! A proxy adds the address it was asked from at the end of `X-Forwarded-For`; what stands before that anyone may have written.
//! So the list is read from its end, past the proxies that are trusted, and the first other address is the client's.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};

use crate::domain::address_blocks::AddressBlocks;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Puts the client's address in the place of the proxy's.
pub async fn told(State(proxies): State<Arc<AddressBlocks>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    if let Some(proxy) = peer.filter(|peer| proxies.contains(*peer)) {
        let client = client_behind(proxy, request.headers(), &proxies);
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(SocketAddr::new(client, 0)));
    }
    next.run(request).await
}

/// The last address of the list that is no trusted proxy; the farthest proxy where there is none, or what follows cannot be read.
fn client_behind(proxy: IpAddr, headers: &HeaderMap, proxies: &AddressBlocks) -> IpAddr {
    let mut nearest = proxy;
    let lists = headers.get_all(FORWARDED_FOR).iter().rev();
    for entry in lists.flat_map(|list| list.to_str().unwrap_or_default().rsplit(',')) {
        let Some(address) = address_in(entry.trim()) else {
            break;
        };
        nearest = address;
        if !proxies.contains(address) {
            break;
        }
    }
    nearest
}

/// Some proxies add the port.
fn address_in(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse::<SocketAddr>().map(|address| address.ip());
    entry.parse().or_else(|_no_port| with_port()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_last_whom_no_trusted_proxy_stands_for() {
        let proxies: AddressBlocks = "127.0.0.1,10.0.0.0/8".parse().expect("a list");
        let proxy: IpAddr = [127, 0, 0, 1].into();
        for (lists, client) in [
            (&[][..], "127.0.0.1"),
            (&["203.0.113.7"], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7, 10.1.2.3"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7,10.1.2.3"], "203.0.113.7"),
            (&["203.0.113.7:5123"], "203.0.113.7"),
            (&["[2001:db8::7]:5123"], "2001:db8::7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["203.0.113.7, unknown, 10.1.2.3"], "10.1.2.3"),
            (&["10.9.9.9"], "10.9.9.9"),
            (&[""], "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED_FOR, list.parse().expect("a header"));
            }
            assert_eq!(
                client_behind(proxy, &headers, &proxies).to_string(),
                client,
                "{lists:?}"
            );
        }
    }
}
