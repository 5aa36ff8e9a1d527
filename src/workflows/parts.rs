//! Large values of a run: stored once, beside the snapshot, which is written with every step.
//!
//! A list of thousands of leads is an output and then a loop's items. Written with each of thousands of steps it would be
//! gigabytes; so it is a part: a number in the snapshot, and its bytes in the append that made it. A run whose parts have not
//! been filled in does not move.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    frames::Items,
    mover::Mover,
    run::{Run, TokenState},
    snapshot::{Kept, SnapshotError},
};

/// Values of more bytes of JSON than this become parts.
const INLINE_BYTES_MAX: usize = 8 * 1024;

impl Run {
    /// The numbers of the parts that its snapshot names and that are not here: the shell reads and [`fills`](Run::fill) them
    /// before the run moves.
    #[must_use]
    pub fn missing_parts(&self) -> Vec<u32> {
        self.named_parts()
            .filter(|part| !self.parts.contains_key(part))
            .collect()
    }

    fn named_parts(&self) -> impl Iterator<Item = u32> {
        let items = self.tokens.values().filter_map(|token| match &token.state {
            TokenState::Looping(looping) => looping.items.part(),
            _ => None,
        });
        self.large_outputs.values().copied().chain(items)
    }

    /// Forgets parts that nothing names any more; the store forgets them when the run ends.
    pub(super) fn forget_unnamed_parts(&mut self) {
        if !self.parts.is_empty() {
            let named: BTreeSet<u32> = self.named_parts().collect();
            self.parts.retain(|part, _| named.contains(part));
        }
    }

    /// Outputs in the run and in its parts.
    pub(super) fn all_outputs(&self) -> BTreeMap<String, Kept> {
        let large = self.large_outputs.iter().filter_map(|(node, part)| {
            let output = self.parts.get(part)?;
            Some((node.clone(), output.clone()))
        });
        self.outputs
            .iter()
            .map(|(node, output)| (node.clone(), output.clone()))
            .chain(large)
            .collect()
    }

    /// Whether parts may be stored beside its snapshots.
    #[must_use]
    pub const fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// Puts a part in its place.
    ///
    /// # Errors
    /// [`SnapshotError::Broken`] when the bytes are no JSON.
    pub fn fill(&mut self, part: u32, bytes: &[u8]) -> Result<(), SnapshotError> {
        let value = Kept::new(serde_json::from_slice(bytes).map_err(SnapshotError::Broken)?);
        for token in self.tokens.values_mut() {
            if let TokenState::Looping(looping) = &mut token.state
                && looping.items.part() == Some(part)
            {
                looping.items.fill(&value);
            }
        }
        self.parts.insert(part, value);
        Ok(())
    }
}

impl Mover<'_> {
    /// Makes a part of a value that is large. Returns its number.
    pub(super) fn part_of(&mut self, value: &Kept) -> Option<u32> {
        let bytes = value.0.to_string().into_bytes();
        if bytes.len() <= INLINE_BYTES_MAX {
            return None;
        }
        let part = self.number();
        self.run.has_parts = true;
        self.run.parts.insert(part, value.clone());
        self.hand_out(part, bytes);
        Some(part)
    }

    /// The items of a loop that begins.
    pub(super) fn items_of(&mut self, list: Kept) -> Items {
        let part = self.part_of(&list);
        Items::new(list, part)
    }
}
