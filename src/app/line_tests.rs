//! A call's audio line over real actors.

use std::time::Duration;

use super::test_app;
use crate::{
    actors::{AudioFrame, LineOpening},
    domain::{
        audio::{Speaker, Track},
        ids::{AccountId, CallSid, StreamSid},
    },
};

fn frame(chunk: u64) -> AudioFrame {
    AudioFrame {
        track: Track::Inbound,
        timestamp_ms: chunk * 20,
        chunk,
        payload: vec![0xff; 160],
        received: std::time::Instant::now(),
    }
}

#[tokio::test]
async fn a_line_whose_actor_was_made_anew_is_heard_again() {
    let (app, _folder) = test_app::build().await;
    let opening = LineOpening {
        account_id: AccountId::fresh(),
        sid: CallSid::new("CA00000000000000000000000000000001"),
        stream: StreamSid::new("MZ00000000000000000000000000000001"),
        inbound: Speaker::Customer,
    };
    let mut line = app.context.calls.open_line(opening).await.expect("it opens");
    assert!(line.push(frame(1)));
    app.context.calls.lose_all().await;
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        let mut chunk = 2;
        // First nobody hears it, then somebody does again.
        for is_heard in [false, true] {
            while line.push(frame(chunk)) != is_heard {
                chunk += 1;
                tokio::task::yield_now().await;
            }
        }
    });
    found.await.expect("the line is connected again");
}
