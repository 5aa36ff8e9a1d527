//! Children that are asked to fail, rest and go.

use tokio::sync::mpsc;

use super::{parent::FAILURES_MAX, *};
use ractor::{ActorProcessingErr, SupervisionEvent};

#[derive(Clone)]
struct Echo {
    heard: mpsc::UnboundedSender<(u32, &'static str)>,
    given_up: Arc<AtomicUsize>,
}
struct EchoActor(Echo);
struct EchoState {
    key: u32,
    desk: Desk<Echo>,
    handled: u64,
}

impl Resident for Echo {
    type Key = u32;
    type Msg = &'static str;
    type Child = EchoActor;
    const NAME: &'static str = "echo";
    fn child(&self) -> EchoActor {
        EchoActor(self.clone())
    }
    fn recover() -> &'static str {
        "recover"
    }
    fn gave_up(&self, _key: &u32, _error: &str) {
        self.given_up.fetch_add(1, Ordering::SeqCst);
        let _ = self.heard.send((0, "gave up"));
    }
}

impl Actor for EchoActor {
    type Msg = &'static str;
    type State = EchoState;
    type Arguments = (u32, Desk<Echo>);
    async fn pre_start(
        &self,
        _: ActorRef<&'static str>,
        (key, desk): (u32, Desk<Echo>),
    ) -> Result<EchoState, ActorProcessingErr> {
        let _ = self.0.heard.send((key, "made"));
        Ok(EchoState {
            key,
            desk,
            handled: 0,
        })
    }
    async fn handle(
        &self,
        _: ActorRef<&'static str>,
        message: &'static str,
        state: &mut EchoState,
    ) -> Result<(), ActorProcessingErr> {
        state.handled += 1;
        let _ = self.0.heard.send((state.key, message));
        match message {
            "panic" => panic!("asked to"),
            "database away" => return Err(StoreError::Busy.into()),
            "rest" => state.desk.idle(state.key, state.handled),
            _ => {}
        }
        Ok(())
    }
}

struct Root;
impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();
    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

async fn start() -> (Residents<Echo>, mpsc::UnboundedReceiver<(u32, &'static str)>) {
    let (heard, hearing) = mpsc::unbounded_channel();
    let (root, _) = Actor::spawn(None, Root, ()).await.expect("the root starts");
    let kind = Echo {
        heard,
        given_up: Arc::default(),
    };
    (
        Residents::start(kind, root.get_cell())
            .await
            .expect("the parents start"),
        hearing,
    )
}

#[tokio::test]
async fn a_panic_restarts_that_child_only_and_tells_it_to_recover() {
    let (residents, mut hearing) = start().await;
    residents.deliver(1, "hello");
    residents.deliver(2, "hello");
    residents.deliver(1, "panic");
    let mut of_one = Vec::new();
    while of_one.last() != Some(&"recover") {
        let (key, word) = hearing.recv().await.expect("alive");
        if key == 1 {
            of_one.push(word);
        }
    }
    assert_eq!(of_one, ["made", "hello", "panic", "made", "recover"]);
    residents.deliver(2, "still here");
    loop {
        let (key, word) = hearing.recv().await.expect("alive");
        assert!(key != 2 || word != "recover");
        if (key, word) == (2, "still here") {
            break;
        }
    }
}

#[tokio::test]
async fn a_child_that_keeps_failing_is_given_up_and_does_not_spin() {
    let (residents, mut hearing) = start().await;
    let mut made = 0;
    residents.deliver(1, "panic");
    loop {
        match hearing.recv().await.expect("alive").1 {
            "made" => made += 1,
            "recover" => residents.deliver(1, "panic"),
            "gave up" => break,
            _ => {}
        }
    }
    assert_eq!(made, FAILURES_MAX);
    residents.deliver(1, "hello");
    residents.deliver(2, "hello");
    assert_eq!(hearing.recv().await, Some((2, "made")));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_finds_the_database_away_is_told_to_recover_until_it_is_back_and_never_given_up() {
    let (residents, mut hearing) = start().await;
    residents.deliver(1, "database away");
    let mut recovered = 0;
    while recovered < 3 * FAILURES_MAX {
        match hearing.recv().await.expect("alive").1 {
            "recover" => {
                recovered += 1;
                residents.deliver(1, "database away");
            }
            "gave up" => panic!("it has not failed"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_idle_child_is_stopped_and_made_again_for_the_next_message() {
    let (residents, mut hearing) = start().await;
    residents.deliver(1, "rest");
    // A message that was on its way when the child asked to rest is not lost.
    residents.deliver(1, "rest");
    let mut words = Vec::new();
    while words.iter().filter(|word| **word == "rest").count() < 2 {
        words.push(hearing.recv().await.expect("alive").1);
    }
    residents.deliver(1, "hello");
    while words.last() != Some(&"hello") {
        words.push(hearing.recv().await.expect("alive").1);
    }
    assert!(
        words.iter().filter(|word| **word == "rest").count() == 2,
        "{words:?}"
    );
}
