//! Finds leads by a few words: part of a name, of an e-mail address, of a telephone number.
//!
//! There is no index of words: leads are looked through newest first, and a page ends when it is full or enough of them were looked
//! through. A whole telephone number or e-mail address is found by the index of its kind, however many leads there are.

use super::{
    LeadStore, Page, PageRequest, StoreResult,
    cursor::{List, Position, Window, encode},
};
use crate::domain::{ids::AccountId, lead::Lead};

/// Leads that are read at once, and how often for one page: it looks through 2,000, and the next page goes on behind them.
const CHUNK: u32 = 200;
const CHUNKS_MAX: u32 = 10;
const LIMIT_MAX: u32 = 200;
const LIMIT_DEFAULT: u32 = 50;
/// A number of fewer digits is none.
const PHONE_DIGITS_MIN: usize = 7;
/// Before the newest lead.
const BEGINNING: Position = Position {
    at: i64::MAX,
    id: [u8::MAX; 16],
};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadWords {
    whole: String,
    /// Each has to be part of the lead's name, address or number.
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    folded: String,
    /// The digits of a word that could be part of a telephone number: nothing else is in it but what people write between digits.
    digits: Option<String>,
}

impl LeadWords {
    /// Reads what somebody typed; `None` when there is no word in it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let words: Vec<Word> = text.split_whitespace().map(Word::of).collect();
        let whole = text.trim().to_owned();
        (!words.is_empty()).then_some(Self { whole, words })
    }

    /// Whether every word is part of the lead's name, or of an address or number of it or of its merged duplicates.
    #[must_use]
    pub fn take(&self, lead: &Lead) -> bool {
        let mut texts = vec![fold(&lead.name)];
        texts.extend(lead.folded_emails());
        let phones: Vec<String> = lead
            .phones()
            .map(|phone| digits_of(phone.as_str()).collect())
            .collect();
        self.words.iter().all(|word| {
            let is_of = |digits: &String| phones.iter().any(|phone| phone.contains(digits));
            word.digits.as_ref().is_some_and(is_of) || texts.iter().any(|text| text.contains(&word.folded))
        })
    }

    fn email(&self) -> Option<&str> {
        (self.words.len() == 1 && self.whole.contains('@')).then_some(&self.whole)
    }

    /// The whole as a number with its country, however it is written.
    fn phone(&self) -> Option<String> {
        let is_number = self.whole.starts_with('+') && self.words.iter().all(|word| word.digits.is_some());
        let digits: String = digits_of(&self.whole).collect();
        (is_number && digits.len() >= PHONE_DIGITS_MIN).then(|| format!("+{digits}"))
    }
}

impl Word {
    fn of(text: &str) -> Self {
        let digits: String = digits_of(text).collect();
        let is_of_number = text
            .chars()
            .all(|letter| letter.is_ascii_digit() || "+-()./".contains(letter));
        Self {
            folded: fold(text),
            digits: (is_of_number && !digits.is_empty()).then_some(digits),
        }
    }
}

fn digits_of(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(char::is_ascii_digit)
}

fn fold(text: &str) -> String {
    text.to_lowercase()
}

impl dyn LeadStore {
    /// One page of the leads that `words` take: who has exactly that number or address first, then newest first. A page may be short,
    /// even empty, and still have a next one.
    ///
    /// # Errors
    /// `BadCursor` for a cursor of another list; when the store does not answer.
    pub async fn search(
        &self,
        account_id: AccountId,
        words: &LeadWords,
        request: PageRequest,
    ) -> StoreResult<Page<Lead>> {
        // A cursor that is none of this list is refused before anything is read.
        Window::of(List::Leads, &request)?;
        let phone = words.phone().and_then(|phone| phone.parse().ok());
        if let Some(phone) = &phone
            && let Some(lead) = self.by_phone(account_id, phone).await?
        {
            // A number is one lead's.
            return Ok(Page {
                items: vec![lead],
                next_cursor: None,
            });
        }
        let exact = match words.email() {
            Some(email) => self.by_email(account_id, email).await?,
            None => None,
        };
        self.look_through(account_id, words, exact, request).await
    }

    async fn look_through(
        &self,
        account_id: AccountId,
        words: &LeadWords,
        exact: Option<Lead>,
        request: PageRequest,
    ) -> StoreResult<Page<Lead>> {
        let limit = match request.limit {
            0 => LIMIT_DEFAULT,
            asked => asked.min(LIMIT_MAX),
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let shown_before = exact.as_ref().map(|lead| lead.id);
        let mut items: Vec<Lead> = exact.filter(|_| request.cursor.is_none()).into_iter().collect();
        if items.len() == limit {
            return Ok(Page {
                items,
                next_cursor: Some(encode(List::Leads, BEGINNING)),
            });
        }
        let mut cursor = request.cursor;
        for _ in 0..CHUNKS_MAX {
            let request = PageRequest {
                limit: CHUNK,
                cursor: cursor.take(),
            };
            let page = self.list(account_id, request).await?;
            cursor = page.next_cursor;
            let mut leads = page.items.into_iter();
            for lead in leads.by_ref() {
                if Some(lead.id) == shown_before || !words.take(&lead) {
                    continue;
                }
                items.push(lead);
                if items.len() == limit {
                    break;
                }
            }
            if leads.len() > 0 {
                // The page is full before its end: the next one goes on behind the last that was found.
                cursor = items.last().map(|lead| encode(List::Leads, place(lead)));
            }
            if cursor.is_none() || items.len() == limit {
                break;
            }
        }
        Ok(Page {
            items,
            next_cursor: cursor,
        })
    }
}

fn place(lead: &Lead) -> Position {
    Position {
        at: i64::try_from(lead.created_at.as_unix_millis()).unwrap_or(i64::MAX),
        id: *lead.id.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::samples::{account_id, lead};

    fn ann() -> Lead {
        Lead {
            name: "Ann Łukasiewicz".to_owned(),
            phone: "+14155550123".parse().ok(),
            email: Some("Ann.Lee@Example.com".to_owned()),
            ..lead(account_id(1), 1)
        }
    }

    #[test]
    fn every_word_is_part_of_name_address_or_number() {
        for found in [
            "ann",
            "  łUKA ",
            "Ann example.com",
            "415 555",
            "(415) 555-0123",
            "+1 415",
            "0123",
            "ann 0123",
        ] {
            assert!(LeadWords::of(found).expect("words").take(&ann()), "{found}");
        }
        for other in ["bob", "ann bob", "999", "4155550124", "+1x"] {
            assert!(!LeadWords::of(other).expect("words").take(&ann()), "{other}");
        }
        assert_eq!(LeadWords::of(" \t "), None);
    }

    #[test]
    fn what_a_merged_duplicate_had_is_the_leads() {
        let mut ann = ann();
        ann.merged.phones.push("+447700900123".parse().expect("a number"));
        ann.merged.emails.push("A.Duplicate@Example.org".to_owned());
        for found in ["7700 900", "duplicate", "ann example.ORG", "415 7700"] {
            assert!(LeadWords::of(found).expect("words").take(&ann), "{found}");
        }
        assert!(!LeadWords::of("7700900 bob").expect("words").take(&ann));
    }

    #[test]
    fn a_whole_number_or_address_is_known_as_such() {
        let phone = |text| LeadWords::of(text).and_then(|words| words.phone());
        assert_eq!(phone("+1 (415) 555-0123").as_deref(), Some("+14155550123"));
        assert_eq!(
            (phone("+1415"), phone("4155550123"), phone("+1 ann")),
            (None, None, None)
        );
        let email = |text: &str| LeadWords::of(text).is_some_and(|words| words.email().is_some());
        assert!(email("ann@example.com") && !email("ann lee") && !email("ann @example.com"));
    }
}
