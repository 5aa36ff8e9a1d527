"""The texts that sentiment is trained on: public corpora mapped to three classes, and our own phone lines.

Everything is seeded: the same files and seed give the same examples in the same order.
"""
import csv
import html
import json
import random
import re
from pathlib import Path

LABELS = ["negative", "neutral", "positive"]
NEGATIVE, NEUTRAL, POSITIVE = range(3)
HERE = Path(__file__).resolve().parent

# GoEmotions. Left out: feelings that are not about the other party (fear, grief, sadness, remorse, nervousness,
# embarrassment) and those that are neither warm nor neutral by our guide (approval, desire, realization).
GO_NEGATIVE = {"anger", "annoyance", "disappointment", "disapproval", "disgust"}
GO_POSITIVE = {"admiration", "amusement", "caring", "excitement", "gratitude", "joy", "love", "optimism", "pride", "relief"}
GO_NEUTRAL = {"neutral", "confusion", "curiosity", "surprise"}

# VADER's human ratings run from -4 to 4.
VADER_FEELING = 1.0
VADER_NEUTRAL = 0.4


def go_emotions(folder):
    """(text, label) of the GoEmotions lines whose emotions agree on one of our classes."""
    names = (folder / "goemotions-labels.txt").read_text().split() + ["neutral"]
    names = list(dict.fromkeys(names))
    pairs = []
    for part in ("goemotions-train.tsv", "goemotions-dev.tsv"):
        for line in (folder / part).read_text(encoding="utf-8").splitlines():
            text, ids, _ = line.rsplit("\t", 2)
            emotions = {names[int(number)] for number in ids.split(",")}
            classes = [set_ for set_ in (GO_NEGATIVE, GO_NEUTRAL, GO_POSITIVE) if emotions & set_]
            if len(classes) == 1 and emotions <= classes[0]:
                label = (GO_NEGATIVE, GO_NEUTRAL, GO_POSITIVE).index(classes[0])
                pairs.append((clean(text), label))
    return pairs


def vader(folder):
    """(text, label) of the clearly felt and the clearly neutral lines rated by VADER's raters."""
    pairs = []
    for part in ("vader-amazon.tsv", "vader-tweets.tsv"):
        for line in (folder / part).read_text(encoding="utf-8").splitlines():
            _, rating, text = line.split("\t", 2)
            rating = float(rating)
            if rating <= -VADER_FEELING:
                pairs.append((clean(text), NEGATIVE))
            elif rating >= VADER_FEELING:
                pairs.append((clean(text), POSITIVE))
            elif abs(rating) <= VADER_NEUTRAL:
                pairs.append((clean(text), NEUTRAL))
    return pairs


def clean(text):
    """Undoes HTML escapes and takes out what is never said on the telephone."""
    text = html.unescape(text)
    text = re.sub(r"https?://\S+|\[NAME\]|\[RELIGION\]|@\w+", " ", text)
    return re.sub(r"\s+", " ", text.replace("#", " ")).strip()


def phone_lines():
    """Our own lines as [{text, label, kind}]."""
    with open(HERE / "phone_lines.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = LABELS.index(row["label"])
    return rows


def split(rows, fold, folds=5):
    """(train, held out) of our lines: every `folds`-th line of each kind, after a fixed shuffle."""
    by_kind = {}
    for row in rows:
        by_kind.setdefault(row["kind"], []).append(row)
    train, held_out = [], []
    for kind in sorted(by_kind):
        lines = by_kind[kind][:]
        random.Random(f"split {kind}").shuffle(lines)
        for place, row in enumerate(lines):
            (held_out if place % folds == fold else train).append(row)
    return train, held_out


# What speech recognition mishears: small words swapped, endings lost, words dropped or doubled.
HEARD_AS = {
    "their": "there", "there": "their", "they're": "there", "your": "you're", "you're": "your", "two": "to",
    "to": "two", "for": "four", "four": "for", "know": "no", "no": "know", "here": "hear", "it's": "its",
    "wait": "weight", "whole": "hole", "by": "buy", "right": "write", "been": "bin", "are": "our", "our": "are",
    "a": "the", "the": "a", "an": "and", "and": "an", "this": "these", "is": "it's", "was": "were", "in": "and",
    "have": "of", "has": "as", "bill": "bell", "still": "steel", "call": "car", "called": "cold", "fee": "free",
    "paid": "paying", "than": "then", "then": "than", "late": "light", "mail": "male", "charge": "change",
    "charged": "changed", "week": "weak", "through": "threw", "order": "older", "line": "lion", "book": "look",
    "agent": "asian", "refund": "re fund", "internet": "in the net", "router": "rooter", "account": "a count",
}
# Errors in these change what was said, so that the label would lie.
KEPT = {"not", "no", "never", "don't", "can't", "won't", "isn't", "wasn't", "couldn't", "didn't", "nothing", "nobody"}


def as_heard(text, rng, error_rate=0.12):
    """The line as speech recognition might give it: no case, no punctuation, some words wrong."""
    words = re.sub(r"[^\w' ]+", " ", text.lower().replace("\u2019", "'")).split()
    heard = []
    for word in words:
        if word in KEPT or rng.random() >= error_rate:
            heard.append(word)
            continue
        draw = rng.random()
        if draw < 0.45:
            heard.append(HEARD_AS.get(word) or _misheard(word, rng))
        elif draw < 0.75:
            continue
        elif draw < 0.9:
            heard += [word, rng.choice(["uh", "um", word, "the", "a", "and"])]
        else:
            heard.append(word[:-1] if len(word) > 4 else word)
    return " ".join(heard or words)


def _misheard(word, rng):
    if len(word) < 4:
        return rng.choice(["the", "a", "it", "in", "of", word])
    at = rng.randrange(1, len(word) - 1)
    letter = rng.choice("aeiou" if word[at] in "aeiou" else "bcdfglmnprst")
    return word[:at] + letter + word[at + 1 :]


def phone_examples(rows, rng, copies):
    """Each line `copies` times, every other copy as heard: (text, label)."""
    pairs = []
    for row in rows:
        first_heard = rng.random() < 0.5
        for copy in range(copies):
            is_heard = (copy % 2 == 0) == first_heard
            pairs.append((as_heard(row["text"], rng) if is_heard else row["text"], row["label"]))
    rng.shuffle(pairs)
    return pairs


def phone_calls():
    """Our own call scripts."""
    return json.loads((HERE / "phone_calls.json").read_text(encoding="utf-8"))
