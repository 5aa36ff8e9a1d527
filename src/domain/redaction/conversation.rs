//! Redacts a conversation as it is heard: a number may be asked for by one person and said by the other, in two breaths.
//!
//! In: one utterance after the other. Out: its text as it may be stored. What was stored of a number's first part stays: it is less than
//! the number. Pure; a conversation that is taken up again after a crash begins anew.

use std::collections::BTreeMap;

use super::{CARD_DIGITS_MAX, is_card, is_cue, is_joint, pieces, struck};
use crate::domain::audio::Speaker;

/// What stands where the rest of a number was.
const REST: &str = "[rest of a card number]";
/// For so many utterances nine digits are taken for the social-security number that somebody spoke of.
const CUED_UTTERANCES: u8 = 4;

/// What was said last.
#[derive(Debug, Default)]
pub struct Conversation {
    cued: u8,
    /// The digits that the last utterance of each speaker ends with.
    tails: BTreeMap<Speaker, Vec<u8>>,
}

impl Conversation {
    /// Returns `text` as it may be shown while it is still being said.
    #[must_use]
    pub fn shown(&self, speaker: Speaker, text: &str) -> String {
        let is_cued = self.cued > 0;
        match self.rest_of_card(speaker, text) {
            Some(to) => format!("{REST}{}", struck(&text[to..], is_cued)),
            None => struck(text, is_cued),
        }
    }

    /// Returns `text`, said to its end, as it may be stored.
    pub fn said(&mut self, speaker: Speaker, text: &str) -> String {
        let shown = self.shown(speaker, text);
        self.cued = if is_cue(text) {
            CUED_UTTERANCES
        } else {
            self.cued.saturating_sub(1)
        };
        self.remember(speaker, &shown, text);
        shown
    }

    /// Where the digits end that, behind those of the speaker's last utterance, are a card number.
    fn rest_of_card(&self, speaker: Speaker, text: &str) -> Option<usize> {
        let tail = self.tails.get(&speaker)?;
        let pieces = pieces(text);
        let mut digits = tail.clone();
        let mut end = 0;
        let mut found = None;
        for piece in &pieces {
            if !is_joint(&text[end..piece.from]) || digits.len() + piece.digits.len() > CARD_DIGITS_MAX {
                break;
            }
            digits.extend_from_slice(&piece.digits);
            end = piece.to;
            let is_whole = (0..tail.len()).any(|from| is_card(&digits[from..]));
            if is_whole {
                found = Some(end);
            }
        }
        found
    }

    /// Keeps the digits that an utterance ends with; a longer pause than one utterance is not bridged.
    fn remember(&mut self, speaker: Speaker, shown: &str, text: &str) {
        let tail = self.tails.entry(speaker).or_default();
        if shown != text {
            tail.clear();
            return;
        }
        let mut digits: Vec<Vec<u8>> = Vec::new();
        let mut start = text.len();
        let mut is_all = true;
        for piece in pieces(text).iter().rev() {
            if !is_joint(&text[piece.to..start]) {
                is_all = false;
                break;
            }
            digits.push(piece.digits.clone());
            start = piece.from;
        }
        // Nothing but digits goes on with those before: four groups in four breaths.
        if !is_all || !is_joint(&text[..start]) || digits.is_empty() {
            tail.clear();
        }
        tail.extend(digits.into_iter().rev().flatten());
        let over = tail.len().saturating_sub(CARD_DIGITS_MAX);
        tail.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Speaker::{Agent, Customer},
        *,
    };
    use crate::domain::redaction::SECURITY;

    #[test]
    fn a_card_said_in_two_breaths_is_not_stored_whole() {
        let mut talk = Conversation::default();
        assert_eq!(talk.said(Customer, "It's 4111 1111."), "It's 4111 1111.");
        assert_eq!(talk.said(Agent, "Go on."), "Go on.");
        assert_eq!(talk.shown(Customer, "1111"), "1111");
        assert_eq!(
            talk.said(Customer, "1111 1111, and the name is Ann"),
            "[rest of a card number], and the name is Ann"
        );
        assert_eq!(talk.said(Customer, "1111"), "1111");
    }

    #[test]
    fn four_groups_in_four_breaths_are_not_stored_whole() {
        let mut talk = Conversation::default();
        for group in ["five five five five", "5555", "five five five five"] {
            assert_eq!(talk.said(Customer, group), group);
        }
        assert_eq!(talk.said(Customer, "4444."), "[rest of a card number].");
    }

    #[test]
    fn nine_digits_are_what_the_other_asked_for() {
        let mut talk = Conversation::default();
        talk.said(Agent, "What is your social security number?");
        assert_eq!(talk.said(Customer, "Sure."), "Sure.");
        assert_eq!(talk.said(Customer, "123 45 6789"), SECURITY);
        for _ in 0..CUED_UTTERANCES {
            talk.said(Agent, "Thanks.");
        }
        assert_eq!(talk.said(Customer, "Order 123456789"), "Order 123456789");
    }

    #[test]
    fn other_numbers_in_two_breaths_stay() {
        let mut talk = Conversation::default();
        for text in [
            "Call 415 555",
            "0100 please",
            "order 4111 1111",
            "is 1111 1112 I think",
        ] {
            assert_eq!(talk.said(Customer, text), text);
        }
    }
}
