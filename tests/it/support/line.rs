//! A line between a node and what it talks to, which can be cut as a network is: nothing is closed, nothing is answered, and what was
//! sent meanwhile arrives when the line is mended.
//!
//! In: connections to [`Line::address`]. Out: the same bytes to the target and back. On a line to a CQL server it counts the
//! conditional batches that were sent while it was cut, and what the server said of them: a former owner's late writes.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Pieces that are held back on one connection before its sender has to wait.
const HELD_MAX: usize = 4_096;

/// Where a line leads.
#[derive(Debug, Clone)]
pub enum Target {
    Port(u16),
    Socket(PathBuf),
}

/// What is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    Everything,
    /// What this process sends and hears.
    Of(u32),
}

/// A running line. Dropped, it is closed.
pub struct Line {
    address: SocketAddr,
    cut: watch::Sender<Cut>,
    late: Arc<Late>,
    task: JoinHandle<()>,
}

/// Conditional batches that were sent while the line was cut.
#[derive(Debug, Default)]
pub struct Late {
    is_counting: AtomicBool,
    sent: AtomicUsize,
    refused: AtomicUsize,
    applied: AtomicUsize,
}

impl Line {
    /// Opens a line to `target`, on a port from the system.
    pub async fn to(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the system has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (cut, held) = watch::channel(Cut::Nothing);
        let late = Arc::<Late>::default();
        let counts = Arc::clone(&late);
        let task = tokio::spawn(async move {
            while let Ok((near, caller)) = listener.accept().await {
                let (target, held, counts) = (target.clone(), held.clone(), Arc::clone(&counts));
                tokio::spawn(async move {
                    let inode = inode_of(caller.port());
                    match target {
                        Target::Port(port) => {
                            if let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await {
                                let (near, far) = (near.into_split(), far.into_split());
                                carry(near, far, Gate { held, inode }, counts).await;
                            }
                        }
                        Target::Socket(path) => {
                            if let Ok(far) = UnixStream::connect(path).await {
                                let (near, far) = (near.into_split(), far.into_split());
                                carry(near, far, Gate { held, inode }, counts).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            cut,
            late,
            task,
        }
    }

    /// Where the line begins.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds everything back from here on.
    pub fn cut(&self) {
        self.late.is_counting.store(true, Ordering::SeqCst);
        self.cut.send_replace(Cut::Everything);
    }

    /// Holds back what the process `pid` sends and hears.
    pub fn cut_for(&self, pid: u32) {
        self.cut.send_replace(Cut::Of(pid));
    }

    /// Lets everything through again, what was held back first.
    pub fn mend(&self) {
        self.late.is_counting.store(false, Ordering::SeqCst);
        self.cut.send_replace(Cut::Nothing);
    }

    /// Conditional batches that were sent while the line was cut: sent, refused, applied. Only what was answered is either.
    #[must_use]
    pub fn late_writes(&self) -> (usize, usize, usize) {
        let late = &self.late;
        (
            late.sent.load(Ordering::SeqCst),
            late.refused.load(Ordering::SeqCst),
            late.applied.load(Ordering::SeqCst),
        )
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Holds one connection's bytes back while it is shut.
#[derive(Clone)]
struct Gate {
    held: watch::Receiver<Cut>,
    /// The caller's socket, by which its process is known.
    inode: Option<u64>,
}

impl Gate {
    fn is_open(&self, cut: Cut) -> bool {
        match cut {
            Cut::Nothing => true,
            Cut::Everything => false,
            Cut::Of(pid) => !self.inode.is_some_and(|inode| has_socket(pid, inode)),
        }
    }

    /// Waits until bytes may pass. Returns false when the line is gone.
    async fn opened(&mut self) -> bool {
        let gate = self.clone();
        self.held.wait_for(|cut| gate.is_open(*cut)).await.is_ok()
    }
}

async fn carry<R, W, S, T>(near: (R, W), far: (S, T), gate: Gate, late: Arc<Late>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: AsyncRead + Unpin,
    T: AsyncWrite + Unpin,
{
    let pending = Mutex::<BTreeSet<i16>>::default();
    let mut asked = Frames::default();
    let mut answered = Frames::default();
    let there = pass(near.0, far.1, gate.clone(), |bytes| {
        let is_late = late.is_counting.load(Ordering::SeqCst);
        asked.read(bytes, |frame| {
            if is_late && frame.opcode == BATCH {
                late.sent.fetch_add(1, Ordering::SeqCst);
                lock(&pending).insert(frame.stream);
            } else {
                // The number is used again for a request that was sent in time.
                lock(&pending).remove(&frame.stream);
            }
        });
    });
    let back = pass(far.0, near.1, gate, |bytes| {
        answered.read(bytes, |frame| {
            if lock(&pending).remove(&frame.stream) {
                let count = if frame.says_applied() {
                    &late.applied
                } else {
                    &late.refused
                };
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    // Either end that closes ends both, as a socket does.
    tokio::select! { () = there => {}, () = back => {} }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands bytes on while the gate is open. `seen` is shown them as they come in: what is held back is taken off the sender all the same, as
/// a network takes it.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate,
    mut seen: impl FnMut(&[u8]),
) {
    let (held, mut release) = mpsc::channel::<Vec<u8>>(HELD_MAX);
    let take = async move {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            seen(&bytes[..count]);
            if held.send(bytes[..count].to_vec()).await.is_err() {
                return;
            }
        }
    };
    let give = async move {
        while let Some(bytes) = release.recv().await {
            if !gate.opened().await || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(take, give);
}

/// The opcode of a batch in the CQL protocol, version 4, 2.4.
const BATCH: u8 = 0x0d;
const RESULT: u8 = 0x08;
/// Version, flags, stream (2 bytes), opcode, length (4 bytes).
const HEADER_BYTES: usize = 9;
/// Of a body, as much as says what it is.
const BODY_BYTES_KEPT: usize = 12;
/// `RESULT` of rows.
const ROWS: i32 = 2;

/// One frame of the CQL protocol, as far as it is of interest.
struct Frame {
    opcode: u8,
    stream: i16,
    flags: u8,
    /// The first bytes of its body.
    body: Vec<u8>,
}

impl Frame {
    /// Whether a conditional batch took place: Cassandra answers with `[applied]` alone when it did, and with the row that was in the
    /// way when it did not.
    fn says_applied(&self) -> bool {
        let word = |at: usize| {
            let bytes = self.body.get(at..at + 4)?;
            Some(i32::from_be_bytes(bytes.try_into().ok()?))
        };
        self.opcode == RESULT && self.flags == 0 && word(0) == Some(ROWS) && word(8) == Some(1)
    }
}

/// Finds the frames in a stream of bytes.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    body: Vec<u8>,
    /// Bytes of the body that are still to come.
    rest: usize,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Frame)) {
        loop {
            if self.head.len() < HEADER_BYTES {
                let (some, more) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.head.len()));
                self.head.extend_from_slice(some);
                bytes = more;
                if self.head.len() < HEADER_BYTES {
                    return;
                }
                let length = self.head[5..9].try_into().expect("four bytes");
                self.rest = usize::try_from(u32::from_be_bytes(length)).expect("it fits");
            }
            let (some, more) = bytes.split_at(bytes.len().min(self.rest));
            let kept = some.len().min(BODY_BYTES_KEPT - self.body.len());
            self.body.extend_from_slice(&some[..kept]);
            self.rest -= some.len();
            bytes = more;
            if self.rest > 0 {
                return;
            }
            found(Frame {
                opcode: self.head[4],
                stream: i16::from_be_bytes([self.head[2], self.head[3]]),
                flags: self.head[1],
                body: std::mem::take(&mut self.body),
            });
            self.head.clear();
        }
    }
}

/// The inode of the socket on this machine that has `port`, from Linux's own table.
fn inode_of(port: u16) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let wanted = format!(":{port:04X}");
    let row = table.lines().find(|row| {
        let local = row.split_whitespace().nth(1);
        local.is_some_and(|local| local.ends_with(&wanted))
    })?;
    row.split_whitespace().nth(9)?.parse().ok()
}

fn has_socket(pid: u32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|link| link == Path::new(&wanted))
}

#[test]
fn frames_are_found_however_the_bytes_come() {
    let frame = |opcode: u8, stream: u8, body: &[u8]| {
        let mut bytes = vec![4, 0, 0, stream, opcode];
        bytes.extend(u32::try_from(body.len()).expect("short").to_be_bytes());
        bytes.extend(body);
        bytes
    };
    let applied = [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9];
    let refused = [0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5, 9, 9];
    let bytes = [
        frame(BATCH, 7, &[1; 40]),
        frame(RESULT, 7, &applied),
        frame(RESULT, 8, &refused),
        frame(5, 1, &[]),
    ]
    .concat();
    for piece in [1, 3, 9, 1_000] {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for bytes in bytes.chunks(piece) {
            frames.read(bytes, |frame| {
                seen.push((frame.opcode, frame.stream, frame.says_applied()))
            });
        }
        assert_eq!(
            seen,
            [
                (BATCH, 7, false),
                (RESULT, 7, true),
                (RESULT, 8, false),
                (5, 1, false)
            ]
        );
    }
}
