//! A few threads that read, each on a connection of its own, so that no query runs on an async thread.
//!
//! In WAL mode readers never wait for the writer, and see everything whose write was answered before they were asked.

use std::collections::VecDeque;

use rusqlite::Connection;

use super::queue::Queue;

/// Reader threads. Point reads take microseconds; more threads only help while one of them scans.
pub(super) const READERS: usize = 4;
/// Reads that may wait; beyond it callers wait for room and then get `Busy`.
pub(super) const READS_QUEUED_MAX: usize = 8_192;

/// One queued read. It answers its caller itself.
pub(super) type Read = Box<dyn FnOnce(&Connection) + Send>;

/// Serves the queue until it is closed and empty. Runs on its own thread, beside other readers.
pub(super) fn serve(db: &Connection, queue: &Queue<Read>) {
    // One at a time: a slow scan must not hold up quick reads that another thread could take.
    let mut taken = VecDeque::with_capacity(1);
    while queue.take(1, &mut taken) {
        for read in taken.drain(..) {
            read(db);
        }
    }
}
