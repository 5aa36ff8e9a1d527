//! Which calls are heard on this node: those whose audio comes in through a socket of its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::call::CallKey;

/// The calls, with the number of sockets of each. Cheap to clone.
#[derive(Clone, Default)]
pub struct OpenLines(Arc<Mutex<BTreeMap<CallKey, usize>>>);

/// One socket of a call. Dropped, it is closed.
pub struct OpenLine {
    lines: OpenLines,
    call: CallKey,
}

impl OpenLines {
    /// Notes a socket of a call.
    #[must_use]
    pub fn open(&self, call: CallKey) -> OpenLine {
        *self.calls().entry(call).or_insert(0) += 1;
        OpenLine {
            lines: self.clone(),
            call,
        }
    }

    /// Whether a call is heard here at this moment.
    #[must_use]
    pub fn hears(&self, call: CallKey) -> bool {
        self.calls().contains_key(&call)
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<CallKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenLine {
    fn drop(&mut self) {
        let mut calls = self.lines.calls();
        if let Some(count) = calls.get_mut(&self.call) {
            *count -= 1;
            if *count == 0 {
                calls.remove(&self.call);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{AccountId, CallId};

    #[test]
    fn a_call_is_heard_until_its_last_socket_closes() {
        let lines = OpenLines::default();
        let call = (AccountId::fresh(), CallId::fresh());
        assert!(!lines.hears(call));
        let (first, second) = (lines.open(call), lines.open(call));
        drop(first);
        assert!(lines.hears(call));
        drop(second);
        assert!(!lines.hears(call));
    }
}
