//! Three nodes on one CQL server and one Redis, under load: nodes leave, join and die, a call goes on being heard, and what
//! ends on one has ended on all.
//!
//! What takes longer (nodes and servers frozen, cut off, flushed; many parked runs) is in `cluster_faults` and
//! `cluster_store_faults`; `scripts/bench-cluster` runs it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    calls_heard_again::streams_asked,
    support::{
        api::http,
        cluster::{Cluster, END_WITHIN, LEASE_TTL_S, Node, Setup},
        eventually::{a_moment, eventually, eventually_within},
        load::Load,
        media_socket::{STREAM_SID, token_of},
        provider::Provider,
        twilio::call_sid,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_leave_join_and_die_under_load_lose_nothing_and_repeat_nothing() {
    let provider = Provider::start(0, 1).await;
    let setup = Setup::shared("moves").with("PATCHCORD_TWILIO__API_BASE", &provider.at(""));
    let mut cluster = Cluster::start(setup, 3).await;
    cluster.two_webhooks().await;
    let load = Load::on(&cluster);
    a_moment(Duration::from_secs(3)).await;
    let left = Instant::now();
    let leaver = cluster.nodes.remove(1);
    let status = leaver.server.stop().await;
    assert!(status.success(), "it ends well: {status}");
    println!("a node left in {:?}", left.elapsed());
    println!(
        "its part was taken {:?} later",
        cluster.until_spread(&[0, 1]).await
    );
    cluster.join().await;
    println!(
        "a node that joined had its part after {:?}",
        cluster.until_spread(&[0, 1, 2]).await
    );
    let call = call_sid(1);
    let address = cluster.nodes[1].server.ring(&call, "+14155550101").await;
    let mut heard = cluster.nodes[1]
        .server
        .open_media(&address)
        .await
        .expect("the pass is good");
    heard.start(&call, token_of(&address)).await;
    until_streamed(&cluster.nodes[0], &call, STREAM_SID).await;
    cluster.nodes[1].server.kill9().await;
    println!(
        "takeover after a kill: {:?}, lease {LEASE_TTL_S} s",
        cluster.until_spread(&[0, 2]).await
    );
    let again_at = eventually_within(END_WITHIN, "the call is to be streamed again", || async {
        streams_asked(&provider).into_iter().next()
    })
    .await
    .remove("Url")
    .expect("it has an address");
    let server = &cluster.nodes[0].server;
    let mut heard = server
        .open_media(&again_at)
        .await
        .expect("the pass is good on the node that asked");
    heard.start_as("MZ2", &call, token_of(&again_at)).await;
    until_streamed(&cluster.nodes[0], &call, "MZ2").await;
    // Asked at once: a stream that brings no frame for a while counts as broken off too.
    assert_eq!(
        streams_asked(&provider).len(),
        1,
        "one stream for one that broke off"
    );
    let brought = load.end().await;
    let (again, _) = cluster
        .until_all_done(&["/first", "/second"], brought.accepted)
        .await;
    println!("{brought:?}, {again} effects in doubt and made again under their key");
}

async fn until_streamed(node: &Node, call: &str, stream: &str) {
    eventually_within(END_WITHIN, "the call is streamed", || async {
        let calls = node.server.items("/api/calls").await;
        let is_it = |record: &Value| record["sid"] == call && record["stream"] == stream;
        calls.iter().any(is_it).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_on_one_node_is_refused_on_every_node_within_a_second() {
    let cluster = Cluster::start(Setup::shared("sessions"), 3).await;
    let token = cluster.nodes[0].server.ready().access_token.clone();
    let me = async |node: &Node| {
        let request = http().get(node.server.at("/api/me")).bearer_auth(&token);
        request.send().await.expect("the node answers").status().as_u16()
    };
    for node in &cluster.nodes {
        assert_eq!(me(node).await, 200);
    }
    let out = http()
        .post(cluster.nodes[0].server.at("/api/auth/logout"))
        .bearer_auth(&token)
        .send()
        .await
        .expect("the node answers");
    assert_eq!(out.status().as_u16(), 204);
    let ended = Instant::now();
    for node in &cluster.nodes {
        eventually("the session is refused", || async {
            (me(node).await == 401).then_some(())
        })
        .await;
    }
    println!("refused on every node after {:?}", ended.elapsed());
    let login: Value = json!({"email": "owner@example.com", "password": "wrong password"});
    let mut tried = 0;
    for node in cluster.nodes.iter().cycle().take(15) {
        let answer = http()
            .post(node.server.at("/api/auth/login"))
            .json(&login)
            .send()
            .await;
        tried += usize::from(answer.expect("the node answers").status().as_u16() == 401);
    }
    // Ten at once, and one more every six seconds that the tries take; three nodes of their own would let all fifteen through.
    assert!((10..15).contains(&tried), "one allowance for all nodes: {tried}");
}
