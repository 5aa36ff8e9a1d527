//! How journal lines lie in rows: those of one append at one moment share a row, because a row costs more than a line.
//!
//! In and out: lines as the store's trait has them. A row's `seq` is its first line's; the others count on from there. A row of
//! one line holds the line as it is; in a row of several each line begins with a line break, which no line of compact JSON holds.

use std::borrow::Cow;

use crate::{domain::time::Timestamp, store::runs::JournalLine};

/// Begins each line of a row of several.
const BREAK: char = '\n';

/// One row.
pub(in crate::store) struct JournalRow<'a> {
    pub(in crate::store) seq: u64,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) entry: Cow<'a, str>,
}

/// Returns the rows that `lines` lie in.
pub(in crate::store) fn rows_of(lines: &[JournalLine]) -> Vec<JournalRow<'_>> {
    lines
        .chunk_by(|line, next| {
            let follows = line.at == next.at && line.seq.checked_add(1) == Some(next.seq);
            follows && !line.entry.contains(BREAK) && !next.entry.contains(BREAK)
        })
        .filter_map(|shared| {
            let first = shared.first()?;
            let entry = match shared {
                [only] => Cow::Borrowed(only.entry.as_str()),
                several => Cow::Owned(joined(several)),
            };
            Some(JournalRow {
                seq: first.seq,
                at: first.at,
                entry,
            })
        })
        .collect()
}

fn joined(lines: &[JournalLine]) -> String {
    let bytes = lines.iter().map(|line| line.entry.len() + 1).sum();
    let mut text = String::with_capacity(bytes);
    for line in lines {
        text.push(BREAK);
        text.push_str(&line.entry);
    }
    text
}

/// Returns the lines of a row, given as if it were one line.
pub(in crate::store) fn lines_of(row: JournalLine) -> Vec<JournalLine> {
    let Some(several) = row.entry.strip_prefix(BREAK) else {
        return vec![row];
    };
    (row.seq..)
        .zip(several.split(BREAK))
        .map(|(seq, entry)| JournalLine {
            seq,
            at: row.at,
            entry: entry.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(seq: u64, at: u64, entry: &str) -> JournalLine {
        JournalLine {
            seq,
            at: Timestamp::from_unix_millis(at),
            entry: entry.to_owned(),
        }
    }

    #[test]
    fn lines_come_back_as_they_were_however_they_lie_in_rows() {
        let lines = vec![
            line(0, 5, r#"{"a":1}"#),
            line(1, 5, r#"{"b":"],["}"#),
            line(2, 5, "{}"),
            line(3, 6, r#"{"later":true}"#),
            line(7, 6, r#"{"after":"a hole"}"#),
            line(8, 6, "{\n}"),
        ];
        let rows = rows_of(&lines);
        assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [0, 3, 7, 8]);
        let back: Vec<JournalLine> = rows
            .into_iter()
            .flat_map(|row| {
                let as_line = JournalLine {
                    seq: row.seq,
                    at: row.at,
                    entry: row.entry.into_owned(),
                };
                lines_of(as_line)
            })
            .collect();
        assert_eq!(back, lines);
        assert!(rows_of(&[]).is_empty());
    }
}
