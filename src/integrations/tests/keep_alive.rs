//! A kept connection that the server has closed meanwhile costs a new connection, not an error.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};

use super::fake::http;
use crate::integrations::client;

#[tokio::test]
async fn a_request_on_a_connection_that_died_is_sent_on_a_fresh_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (closed, is_closed) = oneshot::channel();
    let server = tokio::spawn(async move {
        let mut closed = Some(closed);
        let mut requests = 0;
        while requests < 2 {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 8_192];
            let read = socket.read(&mut request).await.expect("a request");
            if read == 0 {
                continue;
            }
            requests += 1;
            // It promises to stay open, and does not.
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .expect("the client listens");
            drop(socket);
            if let Some(closed) = closed.take() {
                closed.send(()).expect("the test waits");
            }
        }
        requests
    });
    let (http, url) = (
        http(),
        url::Url::parse(&format!("http://{address}/")).expect("an address"),
    );
    let first = client::send(http.configured(reqwest::Method::POST, url.clone()))
        .await
        .expect("answered");
    assert_eq!(first.body, b"ok");
    is_closed.await.expect("the server goes on");
    let second = client::send(http.configured(reqwest::Method::POST, url))
        .await
        .expect("answered on a fresh connection");
    assert_eq!(second.body, b"ok");
    assert_eq!(
        server.await.expect("the server ends"),
        2,
        "each request arrived once"
    );
}
