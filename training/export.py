"""Writes the trained encoder as the program ships it: 8-bit weights, the vocabulary without what English has no use for."""
import json
import random

import torch
from safetensors.torch import save_file

import corpus
import encoder

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LANES, GROUP = 16, 4


def run(options):
    folder = encoder.base_folder()
    model = encoder.Encoder()
    states = [torch.load(options.work / f"encoder-{seed}.pt") for seed in options.seeds]
    # Runs of several seeds begin at one checkpoint: their mean lies in one valley and is steadier than each.
    model.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    model.eval()
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    kept = [pieces.index(name) for name in SPECIAL]
    kept += [i for i, piece in enumerate(pieces) if is_english(piece)]
    options.assets.mkdir(parents=True, exist_ok=True)
    (options.assets / "vocab.txt").write_text("".join(pieces[i] + "\n" for i in kept), encoding="utf-8")

    tensors = {}
    rounded = encoder.Encoder()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weight, scale = quantise(state["words.weight"])
    state["words.weight"] = weight.float() * scale[:, None]
    tensors["pieces.weight"], tensors["pieces.scale"] = weight[kept], scale[kept]
    tensors["places"] = state["places.weight"][: encoder.TOKENS_MAX] + state["kind"]
    for name in ("norm.weight", "norm.bias", "head.weight", "head.bias"):
        tensors[name] = state[name]
    for i in range(encoder.LAYERS):
        for part in ("norm_1.weight", "norm_1.bias", "norm_2.weight", "norm_2.bias"):
            tensors[f"layers.{i}.{part}"] = state[f"layers.{i}.{part}"]
        for part in ("qkv", "out", "up", "down"):
            name = f"layers.{i}.{part}"
            weight, scale = quantise(state[f"{name}.weight"])
            state[f"{name}.weight"] = weight.float() * scale[:, None]
            outputs, depth = weight.shape
            packed = weight.view(outputs // LANES, LANES, depth // GROUP, GROUP).permute(0, 2, 1, 3)
            tensors[f"{name}.weight"], tensors[f"{name}.scale"] = packed, scale
            tensors[f"{name}.bias"] = state[f"{name}.bias"]
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, options.assets / "encoder.safetensors")
    rounded.load_state_dict(state)
    fixtures(options, rounded)


def is_english(piece):
    return all(letter.isascii() or letter in "£€°–—…“”½¼¾" for letter in piece) and not (piece.startswith("[") and len(piece) > 1)


def quantise(weight):
    """(int8 [rows, columns], scale [rows]), each row by its own largest value."""
    scale = weight.abs().amax(1).clamp(min=1e-12) / 127
    return (weight / scale[:, None]).round().to(torch.int8), scale


def fixtures(options, model):
    """What torch computes in full precision from the same rounded weights, for the parity test in Rust."""
    rng = random.Random(5)
    lines = [row["text"] for row in rng.sample(corpus.phone_lines(), 60)]
    lines += [corpus.as_heard(line, rng) for line in lines[:20]]
    lines += ["Caf\u00e9 d\u00e9j\u00e0 vu, it\u2019s \u00a350!", "ok", "x" * 120, " ".join(lines[:12])]
    logits = encoder.predict(model, encoder.tokenizer(encoder.base_folder()), lines)
    rows = [{"text": text, "logits": [round(x, 4) for x in one]} for text, one in zip(lines, logits.tolist())]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (options.assets / "parity.jsonl").write_text(text, encoding="utf-8")
