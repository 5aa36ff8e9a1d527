"""Trains the sentiment models from public corpora and our own phone lines. See README.md beside this file.

  train.py base   --data DIR --work DIR             fine-tunes the encoder on GoEmotions and VADER's ratings
  train.py phone  --data DIR --work DIR --seed N    last pass on our phone lines, from the same base for each seed
  train.py phone  --data DIR --work DIR --fold K    the same without a fifth of them, on which it is then scored
  train.py ngram  --data DIR [--fold K]             trains the n-gram tier
  train.py export --work DIR --seeds N …            writes the mean of the runs as the shipped weights
"""
import argparse
import random
import time
from pathlib import Path

import torch
from torch.nn import functional as F

import corpus
import encoder
import export
import ngram

# For the n-gram tier: complaints are rare in the public corpora and what matters here; our lines are few.
PUBLIC_WEIGHT = (2.0, 0.8, 1.0)
OURS_WEIGHT = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["base", "phone", "ngram", "export"])
    parser.add_argument("--data", type=Path, help="folder with the goemotions-*.tsv and vader-*.tsv files")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints, outside the repository")
    parser.add_argument("--assets", type=Path, default=corpus.HERE.parent / "assets" / "sentiment")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="runs of the last pass that are averaged and shipped")
    parser.add_argument("--fold", type=int, help="hold this fifth of the phone lines out and print its scores")
    parser.add_argument("--epochs", type=int, default=6, help="of the last pass")
    parser.add_argument("--rate", type=float, default=4e-5, help="peak learning rate of the last pass")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.work.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    {"base": base, "phone": phone, "ngram": shed, "export": export.run}[options.step](options)
    print(f"{options.step}: {time.process_time() - began:.0f} CPU seconds", flush=True)


def base(options):
    rng = random.Random(options.seed)
    tok = encoder.tokenizer(encoder.base_folder())
    model = encoder.Encoder().load_base(encoder.base_folder())
    pairs = corpus.go_emotions(options.data) + corpus.vader(options.data)
    # Every third line loses case, punctuation and some words, as on the telephone.
    pairs = [(corpus.as_heard(text, rng, 0.08) if rng.random() < 0.35 else text, label) for text, label in pairs]
    fit(model, tok, [pairs], rng, rate=6e-5, batch=64)
    torch.save(model.state_dict(), options.work / "base.pt")


def phone(options):
    rng = random.Random(1000 + options.seed)
    tok = encoder.tokenizer(encoder.base_folder())
    model = encoder.Encoder()
    model.load_state_dict(torch.load(options.work / "base.pt"))
    rows = corpus.phone_lines()
    train, held_out = (rows, []) if options.fold is None else corpus.split(rows, options.fold)
    public = corpus.go_emotions(options.data) + corpus.vader(options.data)
    epochs = []
    for _ in range(options.epochs):
        # A little of the public corpora keeps the last pass from forgetting them.
        replay = rng.sample(public, len(train) // 2)
        epochs.append(corpus.phone_examples(train, rng, copies=2) + replay)
    fit(model, tok, epochs, rng, rate=options.rate, batch=32, average_from=0.5)
    name = "encoder" if options.fold is None else f"fold-{options.fold}"
    torch.save(model.state_dict(), options.work / f"{name}-{options.seed}.pt")
    if held_out:
        report(model, tok, held_out)


def fit(model, tok, epochs, rng, rate, batch, average_from=None):
    """Trains in place. `average_from`: share of the steps after which weights are averaged into the result."""
    prepared = []
    for pairs in epochs:
        ids = encoder.token_ids(tok, [text for text, _ in pairs])
        prepared.append(batches([(one, label) for one, (_, label) in zip(ids, pairs)], rng, batch))
    steps = sum(len(epoch) for epoch in prepared)
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=rate)
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.05, (steps - step) / (steps - warm)))
    )
    mean, taken, step = None, 0, 0
    model.train()
    for number, epoch in enumerate(prepared):
        total = 0.0
        for chunk in epoch:
            ids, mask = encoder.batch_of([one for one, _ in chunk])
            labels = torch.tensor([label for _, label in chunk])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(ids, mask)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
            step += 1
            if average_from is not None and step >= average_from * steps and step % 5 == 0:
                state = {name: tensor.detach().double() for name, tensor in model.state_dict().items()}
                mean = state if mean is None else {name: mean[name] + state[name] for name in state}
                taken += 1
            if step % 100 == 0:
                print(f"step {step}/{steps}", flush=True)
        print(f"epoch {number}: loss {total / len(epoch):.4f}", flush=True)
    if mean is not None:
        model.load_state_dict({name: (tensor / taken).float() for name, tensor in mean.items()})
    model.eval()


def batches(examples, rng, size):
    """Batches of like lengths, in random order."""
    examples = examples[:]
    rng.shuffle(examples)
    pool = size * 20
    result = []
    for start in range(0, len(examples), pool):
        some = sorted(examples[start : start + pool], key=lambda example: len(example[0]))
        result += [some[at : at + size] for at in range(0, len(some), size)]
    rng.shuffle(result)
    return result


def report(model, tok, rows):
    """Scores of held-out lines, as written and as heard."""
    rng = random.Random(7)
    for how, texts in (
        ("written", [row["text"] for row in rows]),
        ("heard", [corpus.as_heard(row["text"], rng) for row in rows]),
    ):
        logits = encoder.predict(model, tok, texts)
        guesses = logits.argmax(1).tolist()
        print(f"held out, {how}: " + scores([row["label"] for row in rows], guesses))
        if how == "written":
            for row, guess in zip(rows, guesses):
                if row["label"] != guess:
                    print(f"  {corpus.LABELS[row['label']]} taken for {corpus.LABELS[guess]} ({row['kind']}): {row['text']}")


def scores(truths, guesses):
    parts, f1s = [], []
    for label, name in enumerate(corpus.LABELS):
        hit = sum(t == label == g for t, g in zip(truths, guesses))
        precision = hit / max(1, sum(g == label for g in guesses))
        recall = hit / max(1, sum(t == label for t in truths))
        f1s.append(2 * precision * recall / max(1e-9, precision + recall))
        parts.append(f"{name} P {precision:.3f} R {recall:.3f}")
    return f"n {len(truths)} macro-F1 {sum(f1s) / 3:.3f}; " + "; ".join(parts)


def shed(options):
    public = corpus.go_emotions(options.data) + corpus.vader(options.data)
    rows = corpus.phone_lines()
    train, held_out = (rows, []) if options.fold is None else corpus.split(rows, options.fold)
    rng = random.Random(options.seed)
    ours = corpus.phone_examples(train, rng, copies=4)
    weighted = [(text, label, PUBLIC_WEIGHT[label]) for text, label in public]
    weighted += [(text, label, OURS_WEIGHT) for text, label in ours]
    model = ngram.train(weighted, options.seed)
    if held_out:
        guesses = ngram.predict(model, [row["text"] for row in held_out]).argmax(1).tolist()
        print("held out, n-grams: " + scores([row["label"] for row in held_out], guesses))
    else:
        ngram.save(model, options.assets / "ngram.bin")


if __name__ == "__main__":
    main()
