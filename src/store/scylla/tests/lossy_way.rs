//! A way to the CQL server that loses what it is told to: one request, or one answer, of a conditional write.
//!
//! In: the server's address. Out: an address of its own. Frames pass unchanged until a loss is ordered; then the next conditional write
//! loses its connection. Understands just enough of the protocol (version 4) to know which frame that is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
};

const PREPARE: u8 = 0x09;
const EXECUTE: u8 = 0x0A;
const BATCH: u8 = 0x0D;
const RESULT: u8 = 0x08;
/// What a RESULT to a PREPARE begins with.
const PREPARED: [u8; 4] = [0, 0, 0, 4];
/// A flag of a frame: its body begins with a list of texts.
const WARNED: u8 = 0x08;
const HEADER_BYTES: usize = 9;

/// What is lost of the next conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It never reaches the server.
    Request,
    /// The server has carried it out, and nobody is told.
    Answer,
    /// It never reaches the server, and its connection stays open.
    Silence,
    /// It reaches the server when the next conditional write is on its way, just before that one.
    Late,
}

/// The way. Cheap to clone.
#[derive(Clone)]
pub(super) struct LossyWay {
    address: String,
    orders: Arc<Mutex<Orders>>,
}

#[derive(Default)]
struct Orders {
    next: Option<Loss>,
    losses: u32,
    /// Texts of prepared statements by their ids.
    texts: BTreeMap<Vec<u8>, String>,
    late: Option<LateFrame>,
}

/// A request that is held back, and the connection it belongs to.
struct LateFrame {
    frame: Vec<u8>,
    to_server: OwnedWriteHalf,
    answered: oneshot::Receiver<()>,
}

/// What both directions of one connection know.
#[derive(Default)]
struct Connection {
    to_client: tokio::sync::Mutex<Option<OwnedWriteHalf>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// Texts that are being prepared, by stream.
    preparing: BTreeMap<[u8; 2], String>,
    /// The stream whose answer is to be lost.
    swallowed: Option<[u8; 2]>,
    late: Option<([u8; 2], oneshot::Sender<()>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LossyWay {
    /// Opens a way to `server`.
    pub(super) async fn to(server: &str) -> Self {
        // The driver takes the server's own address for a node's, with this port.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let way = Self {
            address,
            orders: Arc::default(),
        };
        let (orders, server) = (Arc::clone(&way.orders), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server)
                    .await
                    .expect("the server of the tests");
                connect(Arc::clone(&orders), client, server);
            }
        });
        way
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Orders a loss.
    pub(super) fn lose(&self, loss: Loss) {
        locked(&self.orders).next = Some(loss);
    }

    /// How much was lost so far.
    pub(super) fn losses(&self) -> u32 {
        locked(&self.orders).losses
    }
}

fn connect(orders: Arc<Mutex<Orders>>, client: TcpStream, server: TcpStream) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let connection = Arc::new(Connection {
        to_client: tokio::sync::Mutex::new(Some(to_client)),
        notes: Mutex::default(),
    });
    tokio::spawn(carry_requests(
        Arc::clone(&orders),
        Arc::clone(&connection),
        from_client,
        to_server,
    ));
    tokio::spawn(carry_answers(orders, connection, from_server));
}

async fn carry_requests(
    orders: Arc<Mutex<Orders>>,
    connection: Arc<Connection>,
    mut from_client: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
) {
    while let Some(frame) = next_frame(&mut from_client).await {
        if frame[4] == PREPARE {
            let text = String::from_utf8_lossy(&frame[HEADER_BYTES + 4..]).into_owned();
            locked(&connection.notes)
                .preparing
                .insert(stream_of(&frame), text);
        }
        if is_conditional(&orders, &frame) {
            let late = locked(&orders).late.take();
            if let Some(mut late) = late {
                late.to_server
                    .write_all(&late.frame)
                    .await
                    .expect("it is held open");
                late.answered.await.expect("the server answers");
            }
            let loss = locked(&orders).next.take();
            match loss {
                Some(Loss::Request) => {
                    locked(&orders).losses += 1;
                    connection.to_client.lock().await.take();
                    return;
                }
                Some(Loss::Late) => {
                    let (tell, answered) = oneshot::channel();
                    locked(&connection.notes).late = Some((stream_of(&frame), tell));
                    hold_back(
                        &orders,
                        LateFrame {
                            frame,
                            to_server,
                            answered,
                        },
                    );
                    connection.to_client.lock().await.take();
                    return;
                }
                Some(Loss::Silence) => {
                    locked(&orders).losses += 1;
                    continue;
                }
                Some(Loss::Answer) => locked(&connection.notes).swallowed = Some(stream_of(&frame)),
                None => (),
            }
        }
        if to_server.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn hold_back(orders: &Mutex<Orders>, late: LateFrame) {
    let mut orders = locked(orders);
    orders.losses += 1;
    orders.late = Some(late);
}

async fn carry_answers(
    orders: Arc<Mutex<Orders>>,
    connection: Arc<Connection>,
    mut from_server: OwnedReadHalf,
) {
    while let Some(frame) = next_frame(&mut from_server).await {
        let stream = stream_of(&frame);
        if frame[4] == RESULT
            && let Some(prepared) = body_of_result(&frame).strip_prefix(&PREPARED)
        {
            let text = locked(&connection.notes).preparing.remove(&stream);
            let known = text.map(|text| (short_bytes(prepared), text));
            locked(&orders).texts.extend(known);
        }
        let is_swallowed = locked(&connection.notes).swallowed == Some(stream);
        let late = {
            let mut notes = locked(&connection.notes);
            notes.late.take_if(|(late, _)| *late == stream)
        };
        if let Some((_, tell)) = late {
            tell.send(()).expect("somebody waits for it");
        }
        let mut to_client = connection.to_client.lock().await;
        if is_swallowed && to_client.take().is_some() {
            locked(&orders).losses += 1;
            return;
        }
        if let Some(to_client) = to_client.as_mut()
            && to_client.write_all(&frame).await.is_err()
        {
            return;
        }
    }
}

/// One frame, header and body; nothing when the connection is closed.
async fn next_frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER_BYTES];
    from.read_exact(&mut frame).await.ok()?;
    let length: [u8; 4] = frame[5..].try_into().expect("four bytes are left of the header");
    let length = usize::try_from(u32::from_be_bytes(length)).expect("a frame fits into memory");
    frame.resize(HEADER_BYTES + length, 0);
    from.read_exact(&mut frame[HEADER_BYTES..]).await.ok()?;
    Some(frame)
}

/// What a RESULT says, behind the warnings that may stand before it.
fn body_of_result(frame: &[u8]) -> &[u8] {
    let mut body = &frame[HEADER_BYTES..];
    if frame[1] & WARNED == 0 {
        return body;
    }
    let count = u16::from_be_bytes([body[0], body[1]]);
    body = &body[2..];
    for _ in 0..count {
        body = &body[2 + short_bytes(body).len()..];
    }
    body
}

fn stream_of(frame: &[u8]) -> [u8; 2] {
    [frame[2], frame[3]]
}

fn short_bytes(body: &[u8]) -> Vec<u8> {
    let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
    body[2..2 + length].to_vec()
}

/// Our batches are all conditional.
fn is_conditional(orders: &Mutex<Orders>, frame: &[u8]) -> bool {
    match frame[4] {
        BATCH => true,
        EXECUTE => {
            let id = short_bytes(&frame[HEADER_BYTES..]);
            let orders = locked(orders);
            orders.texts.get(&id).is_some_and(|text| text.contains(" IF "))
        }
        _ => false,
    }
}
