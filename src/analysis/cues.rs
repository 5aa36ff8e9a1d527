//! Words by which a customer says "this has gone too far": demands, threats, accusations, open anger.
//!
//! In: plain words. Out: the cue found. A cue never fires alone: the trigger asks for it beside a very
//! negative score, where one turn is to be enough for an alert.

use super::words::{contains_phrase, plain_words};

/// Phrases in plain words, grouped by what they announce; the first one found is the evidence.
const CUES: &[&str] = &[
    // Demands for somebody else.
    "manager",
    "supervisor",
    "your boss",
    "someone senior",
    "somebody senior",
    "someone in charge",
    "somebody in charge",
    "head office",
    "complaint",
    "complaints",
    "escalate",
    // Threats to leave, to sue, to tell.
    "cancel",
    "cancelling",
    "canceling",
    "leaving",
    "switching",
    "switch to",
    "moving to",
    "competitor",
    "taking my business",
    "take my business",
    "never again",
    "lawyer",
    "solicitor",
    "attorney",
    "legal action",
    "court",
    "sue",
    "ombudsman",
    "regulator",
    "trading standards",
    "consumer protection",
    "report you",
    "chargeback",
    "dispute",
    "the police",
    "the press",
    "social media",
    "done with you",
    "im done",
    "through with you",
    // Money back.
    "refund",
    "money back",
    "compensation",
    "compensate",
    // Accusations.
    "lie",
    "lied",
    "lies",
    "liar",
    "liars",
    "lying",
    "scam",
    "scammed",
    "scammers",
    "fraud",
    "con",
    "conned",
    "ripped off",
    "rip off",
    "ripping",
    "robbed",
    "robbery",
    "robbing",
    "steal",
    "stealing",
    "stole",
    "stolen",
    "thieves",
    "theft",
    "cheated",
    "cheating",
    "misled",
    "mislead",
    "broken promise",
    "incompetent",
    "incompetence",
    "useless",
    "clueless",
    "rude",
    "ignored",
    "ignoring",
    "nobody cares",
    "dont care",
    "doesnt care",
    "hung up on me",
    "passed around",
    "fobbed off",
    "messing me",
    "messed up",
    "ruined",
    // Open anger.
    "unacceptable",
    "not acceptable",
    "ridiculous",
    "outrageous",
    "disgrace",
    "disgraceful",
    "disgusting",
    "disgusted",
    "appalling",
    "appalled",
    "pathetic",
    "shambles",
    "shocking",
    "joke",
    "furious",
    "angry",
    "livid",
    "fuming",
    "outraged",
    "fed up",
    "sick of",
    "sick and tired",
    "had enough",
    "had it with",
    "enough is enough",
    "worst",
    "terrible",
    "horrible",
    "awful",
    "dreadful",
    "hate",
    "nightmare",
    "rubbish",
    "garbage",
    "crap",
    "bloody",
    "damn",
    "hell",
    "stupid",
    "how dare",
    "insulting",
    "insult",
    "waste of time",
    "wasted",
    "wasting",
    "screaming",
    "for the last time",
];

/// The first escalation cue in `text`.
#[must_use]
pub fn find(text: &str) -> Option<&'static str> {
    let words = plain_words(text);
    CUES.iter().copied().find(|cue| contains_phrase(&words, cue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands_threats_and_anger_are_cues_and_plain_trouble_is_not() {
        assert_eq!(find("I want to speak to your MANAGER, now."), Some("manager"));
        assert_eq!(find("you've lied to me"), Some("lied"));
        assert_eq!(find("I'm done with you. Close my account"), Some("done with you"));
        assert_eq!(find("my parcel has not arrived yet"), None);
        assert_eq!(
            find("I would like to close my account"),
            None,
            "that can be calm business"
        );
        assert_eq!(find("the management of my pension"), None);
    }

    #[test]
    fn every_cue_is_written_in_plain_words() {
        for cue in CUES {
            assert_eq!(plain_words(cue).join(" "), *cue);
        }
    }
}
