"""The shed tier: a linear model over hashed word n-grams. `features` must count as `ngram.rs` does."""
import re
import struct

import torch

BUCKETS = 1 << 16
WORDS_MAX = 3
TEXT_WORDS_MAX = 64


def plain_words(text):
    words = re.sub(r"['\u2019\u2018`]", "", text.lower())
    return re.findall(r"[^\W_]+", words)


def fnv1a(value, data):
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def features(text):
    words = ["^"] + plain_words(text)[-TEXT_WORDS_MAX:]
    buckets = []
    for at in range(len(words)):
        value = 0x811C9DC5
        for word in words[at : at + WORDS_MAX]:
            value = fnv1a(fnv1a(value, word.encode()), b" ")
            buckets.append((value ^ (value >> 16)) & 0xFFFF)
    return buckets


def train(weighted_pairs, seed, epochs=4):
    """weighted_pairs: [(text, label, weight)]. Returns (scale, bias, int8 weights [BUCKETS, 3], quantised)."""
    torch.manual_seed(seed)
    lists = [features(text) for text, _, _ in weighted_pairs]
    labels = torch.tensor([label for _, label, _ in weighted_pairs])
    weights = torch.tensor([weight for _, _, weight in weighted_pairs], dtype=torch.float32)
    bag = torch.nn.EmbeddingBag(BUCKETS, 3, mode="sum")
    torch.nn.init.zeros_(bag.weight)
    bias = torch.nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.Adam([*bag.parameters(), bias], lr=0.02)
    batch = 512
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - epoch / epochs)
        for chunk in torch.randperm(len(lists)).split(batch):
            indices = [lists[i] for i in chunk.tolist()]
            logits = forward(bag, bias, indices)
            loss = torch.nn.functional.cross_entropy(logits, labels[chunk], reduction="none")
            loss = (loss * weights[chunk]).mean() + 1e-6 * bag.weight.square().sum() / len(lists) * batch
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return quantise(bag.weight.detach(), bias.detach())


def forward(bag, bias, indices):
    offsets = torch.tensor([0] + [len(one) for one in indices[:-1]]).cumsum(0)
    flat = torch.tensor([bucket for one in indices for bucket in one])
    counts = torch.tensor([max(len(one), 1) for one in indices], dtype=torch.float32)
    return bag(flat, offsets) / counts.sqrt()[:, None] + bias


def quantise(weight, bias):
    # The few largest weights are cut so that the many others keep their steps.
    scale = torch.quantile(weight.abs().flatten()[weight.abs().flatten() > 1e-4][:10_000_000], 0.9995).item() / 127
    return scale, bias.tolist(), (weight / scale).round().clamp(-127, 127).to(torch.int8)


def predict(model, texts):
    scale, bias, weight = model
    bag = torch.nn.EmbeddingBag.from_pretrained(weight.float() * scale, mode="sum")
    with torch.no_grad():
        return forward(bag, torch.tensor(bias), [features(text) for text in texts])


def save(model, path):
    scale, bias, weight = model
    path.write_bytes(b"PCNGRAM1" + struct.pack("<4f", scale, *bias) + weight.contiguous().numpy().tobytes())
