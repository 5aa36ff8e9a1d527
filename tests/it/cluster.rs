//! Three nodes on one CQL server and one Redis, under load: nodes leave, join and die, and what ends on one has ended on all.
//!
//! What takes longer (nodes frozen, cut off, killed again and again; many parked runs) is in `cluster_faults`;
//! `scripts/bench-cluster` runs it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    api::http,
    cluster::{Cluster, LEASE_TTL_S, Node, Setup},
    eventually::{a_moment, eventually},
    load::Load,
};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_leave_join_and_die_under_load_lose_nothing_and_repeat_nothing() {
    let mut cluster = Cluster::start(Setup::shared("moves"), 3).await;
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
    cluster.nodes[1].server.kill9().await;
    println!(
        "takeover after a kill: {:?}, lease {LEASE_TTL_S} s",
        cluster.until_spread(&[0, 2]).await
    );
    let brought = load.end().await;
    let (again, _) = cluster
        .until_all_done(&["/first", "/second"], brought.accepted)
        .await;
    println!(
        "{} events accepted, {} tries refused, {again} effects in doubt and made again under their key",
        brought.accepted, brought.refused
    );
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
