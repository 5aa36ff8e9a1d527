//! Reads CSV (RFC 4180) as it arrives: bytes in, records out, whatever the pieces they come in.
//!
//! Pure: the caller brings the bytes. What is kept meanwhile is one record, which is bounded.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Largest record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Most cells of a record.
pub const CELLS_MAX: usize = 500;

/// Why the text is not CSV that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    #[error(
        "row {row} is not UTF-8: save the file as CSV with the encoding UTF-8 (in a spreadsheet: \"CSV UTF-8\")"
    )]
    NotUtf8 { row: u64 },
    #[error(
        "row {row} is longer than {RECORD_BYTES_MAX} bytes or has more than {CELLS_MAX} cells: look for a quotation mark that is never closed"
    )]
    TooLong { row: u64 },
}

/// One reading. Rows are counted from 1, the header included.
pub struct CsvReader {
    reader: Reader,
    text: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    cells: usize,
    row: u64,
}

impl CsvReader {
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; 4_096],
            filled: 0,
            ends: vec![0; CELLS_MAX + 1],
            cells: 0,
            row: 0,
        }
    }

    /// Reads the next bytes; every record that they complete goes to `records`.
    ///
    /// # Errors
    /// When a record cannot be read; nothing after it is.
    pub fn push(&mut self, mut bytes: &[u8], records: &mut Vec<Vec<String>>) -> Result<(), CsvError> {
        while !bytes.is_empty() {
            let taken = self.step(bytes, records)?;
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// There is no more: reads what is left.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn finish(&mut self, records: &mut Vec<Vec<String>>) -> Result<(), CsvError> {
        let before = records.len();
        // Nothing to read means the end: one call closes the last record, room may have to be made before.
        for _ in 0..RECORD_BYTES_MAX.ilog2() + 2 {
            self.step(&[], records)?;
            if records.len() > before {
                break;
            }
        }
        Ok(())
    }

    /// Row of the record that is read at the moment.
    #[must_use]
    pub const fn row(&self) -> u64 {
        self.row + 1
    }

    fn step(&mut self, bytes: &[u8], records: &mut Vec<Vec<String>>) -> Result<usize, CsvError> {
        let (result, taken, written, ended) =
            self.reader
                .read_record(bytes, &mut self.text[self.filled..], &mut self.ends[self.cells..]);
        self.filled += written;
        self.cells += ended;
        match result {
            ReadRecordResult::OutputFull if self.text.len() >= RECORD_BYTES_MAX => {
                return Err(CsvError::TooLong { row: self.row() });
            }
            ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => return Err(CsvError::TooLong { row: self.row() }),
            ReadRecordResult::Record => {
                records.push(self.record()?);
                (self.filled, self.cells) = (0, 0);
                self.row += 1;
            }
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Ok(taken)
    }

    fn record(&self) -> Result<Vec<String>, CsvError> {
        let text = std::str::from_utf8(&self.text[..self.filled])
            .map_err(|_not_utf8| CsvError::NotUtf8 { row: self.row() })?;
        let mut cells = Vec::with_capacity(self.cells);
        let mut start = 0;
        for end in &self.ends[..self.cells] {
            // Where a cell ends is no place inside of a character, unless the text is no UTF-8 at all.
            let cell = text
                .get(start..*end)
                .ok_or(CsvError::NotUtf8 { row: self.row() })?;
            cells.push(cell.to_owned());
            start = *end;
        }
        Ok(cells)
    }
}

/// The delimiter that a first line is written with: whichever of comma, semicolon, tab and bar it has most of, outside of quotes.
#[must_use]
pub fn delimiter_of(line: &[u8]) -> u8 {
    let mut is_quoted = false;
    let mut counts = [(b',', 0_u32), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in line {
        match *byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' if !is_quoted => break,
            byte if !is_quoted => {
                if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte) {
                    *count += 1;
                }
            }
            _ => {}
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default();
    counts
        .iter()
        .find(|(_, count)| *count == most)
        .map_or(b',', |(delimiter, _)| *delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], piece: usize) -> Result<Vec<Vec<String>>, CsvError> {
        let mut reader = CsvReader::new(delimiter_of(text));
        let mut records = Vec::new();
        for bytes in text.chunks(piece) {
            reader.push(bytes, &mut records)?;
        }
        reader.finish(&mut records)?;
        Ok(records)
    }

    #[test]
    fn records_come_out_the_same_whatever_the_pieces() {
        let text = "name;phone\r\n\"Lee; \"\"Ann\"\"\nof Rome\";+14155550100\nBø;\n\nlast;1".as_bytes();
        let whole = read(text, text.len()).expect("CSV");
        assert_eq!(
            whole,
            [
                vec!["name", "phone"],
                vec!["Lee; \"Ann\"\nof Rome", "+14155550100"],
                vec!["Bø", ""],
                vec!["last", "1"],
            ]
        );
        for piece in 1..20 {
            assert_eq!(read(text, piece).expect("CSV"), whole, "pieces of {piece}");
        }
    }

    #[test]
    fn long_cells_grow_and_endless_ones_are_refused() {
        let cell = "x".repeat(100_000);
        let text = format!("a,b\n{cell},1\n");
        assert_eq!(read(text.as_bytes(), 977).expect("CSV")[1][0].len(), 100_000);
        let endless = format!("a,b\n\"{}", "x\n".repeat(RECORD_BYTES_MAX));
        assert_eq!(read(endless.as_bytes(), 8_192), Err(CsvError::TooLong { row: 2 }));
        let wide = ",".repeat(CELLS_MAX + 5);
        assert_eq!(read(wide.as_bytes(), 100), Err(CsvError::TooLong { row: 1 }));
    }

    #[test]
    fn another_encoding_is_named_with_its_row() {
        assert_eq!(read(b"name\nJos\xe9\n", 4), Err(CsvError::NotUtf8 { row: 2 }));
    }

    #[test]
    fn the_delimiter_is_the_most_frequent_one_outside_of_quotes() {
        for (line, delimiter) in [
            ("a,b,c", b','),
            ("a;b;c\n,,,,", b';'),
            ("a\tb", b'\t'),
            ("\"a,b,c\";d", b';'),
            ("alone", b','),
        ] {
            assert_eq!(delimiter_of(line.as_bytes()), delimiter, "{line}");
        }
    }
}
