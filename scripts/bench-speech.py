"""Measures patchcord's speech pipeline beside faster-whisper; scripts/bench-speech installs what it needs and starts it.

In: Asterisk's English prompts (1.5 to 10 s). They are coded to mu-law and back at 8 kHz, clean and with pink-ish noise at
15 dB, as speech.md of the project's measurements did, so that figures compare. Every second prompt is the judged half; choices
are made on the other. Out: one table. The peer's model stays loaded and only its own CPU time is counted; ours is what
`patchcord transcribe --cpu` reports, listening included. Blocks of prompts alternate between the two, so that both meet the
same machine.
"""
import argparse
import gzip
import json
import os
import re
import subprocess
import time
import wave

import numpy as np
from scipy.signal import lfilter, resample_poly
from whisper_normalizer.english import EnglishTextNormalizer

SOUNDS = "/usr/share/asterisk/sounds/en_US_f_Allison"
TEXT = "/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
BLOCK = 20
DIGITS = "zero one two three four five six seven eight nine".split()
STRINGS = ["555555", "4111", "0123456789", "999", "112233", "777777", "8005550199", "121212"]
normal = EnglishTextNormalizer()


def ulaw(x):
    """Codes and decodes G.711 mu-law."""
    x = np.clip(x.astype(np.int32), -32635, 32635)
    sign, m = np.where(x < 0, 0x80, 0), np.abs(x) + 132
    e = np.floor(np.log2(m)).astype(np.int32) - 7
    mant = (m >> (e + 3)) & 15
    y = (((mant << 3) + 132) << e) - 132
    return np.where(sign, -y, y).astype(np.int16)


def read(path):
    with wave.open(path) as w:
        return np.frombuffer(w.readframes(w.getnframes()), "<i2")


def save(path, x, rate):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with wave.open(path, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(np.clip(np.round(x), -32768, 32767).astype("<i2").tobytes())


def prompts():
    rows = []
    for line in gzip.open(TEXT, "rt", errors="replace"):
        m = re.match(r"^\s*([\w/\-.]+)\s*:\s*(.*)$", line.strip())
        if not m or "silence" in m[1] or re.search(r"[\[(]", m[2]) or not os.path.exists(f"{SOUNDS}/{m[1]}.wav"):
            continue
        x = read(f"{SOUNDS}/{m[1]}.wav")
        if 1.5 <= len(x) / 8000 <= 10:
            rows.append((m[1].replace("/", "_"), m[2], x))
    return sorted(rows, key=lambda row: (row[0], len(row[2]) / 8000, row[1]))


def make_set(out):
    rng, rows = np.random.default_rng(7), []
    for name, text, x in prompts():
        noise, xf = lfilter([1.0], [1.0, -0.85], rng.standard_normal(len(x))), x.astype(np.float64)
        loud = np.abs(xf) > 0.02 * np.abs(xf).max()
        gain = np.sqrt(np.mean(xf[loud] ** 2) / np.mean(noise**2) / 10 ** (15 / 10))
        for tag, y in (("clean", ulaw(x)), ("15 dB", ulaw(np.clip(xf + gain * noise, -32768, 32767)))):
            save(f"{out}/{tag}/{name}.wav", y, 8000)
            save(f"{out}/{tag} 16k/{name}.wav", resample_poly(y.astype(float), 2, 1, window=("kaiser", 12.0)), 16000)
        rows.append((name, text))
    return rows


def make_streams(out, rows):
    """Prompts with gaps of 0.7 to 3 s; returns when each one's speech begins and ends, in ms."""
    rng = np.random.default_rng(3)
    pieces, truth, at = [], [], 0
    for k in rng.permutation(len(rows))[:80]:
        gap = int(8000 * rng.uniform(0.7, 3.0))
        x = read(f"{out}/clean/{rows[k][0]}.wav").astype(np.float64)
        e = np.array([np.sqrt(np.mean(x[i : i + 80] ** 2)) for i in range(0, len(x) - 79, 80)])
        on = np.flatnonzero(e > e.max() * 10 ** (-35 / 20))
        at += gap
        truth.append(((at + on[0] * 80) / 8, (at + (on[-1] + 1) * 80) / 8))
        pieces += [np.zeros(gap), x]
        at += len(x)
    x = np.concatenate([*pieces, np.zeros(16000)])
    level = np.sqrt(np.mean(np.concatenate([x[int(a * 8) : int(b * 8)] for a, b in truth]) ** 2))
    noise = lfilter([1.0], [1.0, -0.85], rng.standard_normal(len(x)))
    noise /= np.sqrt(np.mean(noise**2))
    for tag, snr in (("clean", 50), ("15 dB", 15), ("5 dB", 5)):
        save(f"{out}/streams/{tag}.wav", ulaw(x + noise * level / 10 ** (snr / 20)), 8000)
    return truth, len(x) / 8


def make_digits(out):
    made = []
    for text in STRINGS:
        parts = [p for d in text for p in (trim(read(f"{SOUNDS}/digits/{d}.wav")), np.zeros(1200))]
        save(f"{out}/digits/{text}.wav", ulaw(np.concatenate([np.zeros(2400), *parts, np.zeros(4800)])), 8000)
        made.append((text, f"{out}/digits/{text}.wav"))
    return made


def trim(x):
    on = np.flatnonzero(np.abs(x) > 0.02 * np.abs(x).max())
    return x[on[0] : on[-1] + 1].astype(np.float64)


def edits(ref, hyp):
    row = list(range(len(hyp) + 1))
    for i, r in enumerate(ref, 1):
        last, row[0] = row[0], i
        for j, h in enumerate(hyp, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (r != h))
    return row[-1]


def words(text):
    return normal(text.replace("...", " ")).split()


def looped(text):
    """Whether a block of at least three words stands twice in a row."""
    w = words(text)
    return any(w[i : i + p] == w[i + p : i + 2 * p] for p in range(3, len(w) // 2 + 1) for i in range(len(w) - 2 * p + 1))


def ours(binary, files, env=None):
    result = {f: ["", 0.0] for f in files}
    done = subprocess.run([binary, "transcribe", "--cpu", *files], check=True, capture_output=True, text=True, env=env)
    for line in done.stdout.splitlines():
        r = json.loads(line)
        result[r["file"]][0] += " " + r["text"]
        result[r["file"]][1] += r["cpu_s"]
    return result


class Peer:
    def __init__(self, directory):
        from faster_whisper import WhisperModel

        self.model = WhisperModel(directory, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
        self.run(np.zeros(32000, np.float32))

    def run(self, x):
        start = time.process_time()
        segments, _ = self.model.transcribe(
            x, language="en", beam_size=1, temperature=0.0, without_timestamps=True,
            condition_on_previous_text=False, vad_filter=False)
        text = " ".join(s.text.strip() for s in segments)
        return [text, time.process_time() - start]


class Score:
    def __init__(self):
        self.errors = self.words = self.loops = 0
        self.cpu = self.audio = 0.0

    def add(self, reference, text, cpu, seconds):
        ref = words(reference)
        self.errors += edits(ref, words(text)) if "#" not in reference and "*" not in reference else 0
        self.words += len(ref) if "#" not in reference and "*" not in reference else 0
        self.loops += looped(text) and not looped(reference)
        self.cpu += cpu
        self.audio += seconds

    wer = property(lambda self: 100 * self.errors / max(1, self.words))
    rate = property(lambda self: self.cpu / max(1e-9, self.audio))


def measure(args, rows, tag, peer):
    mine, theirs = Score(), Score()
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        files = [f"{args.work}/set/{tag}/{name}.wav" for name, _ in block]
        got = ours(args.binary, files)
        for (name, text), path in zip(block, files):
            seconds = len(read(path)) / 8000
            mine.add(text, *got[path], seconds)
            if peer:
                x = read(f"{args.work}/set/{tag} 16k/{name}.wav").astype(np.float32) / 32768
                theirs.add(text, *peer.run(x), seconds)
    return mine, theirs


def endpoints(args, tag, truth, length_ms, calls, seconds):
    """Plays a stream live and compares when finals were known with when speech truly ended."""
    path = f"{args.work}/set/streams/{tag}.wav"
    command = [args.binary, "transcribe", "--live", str(calls), "--seconds", str(seconds), path]
    lines = [json.loads(l) for l in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()]
    finals, summary = [l for l in lines if "call" in l], lines[-1]
    delays, lost, said = [], 0, 0
    for call in range(calls):
        mine = [f for f in finals if f["call"] == call]
        offset = call * 13000
        for begin, end in truth:
            begin, end = (begin - offset) % length_ms, (end - offset) % length_ms
            if begin > end or end > seconds * 1000 - 2000:
                continue
            said += 1
            over = [f for f in mine if f["start_ms"] < end and f["end_ms"] > begin]
            if over:
                delays.append(over[-1]["known_ms"] - end)
            else:
                lost += 1
    p = lambda q: float(np.quantile(delays, q)) if delays else float("nan")
    longest = max((f["end_ms"] - f["start_ms"] for f in finals), default=0)
    return {"said": said, "lost": lost, "p50": p(0.5), "p95": p(0.95), "longest_ms": longest, **summary}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--binary", required=True)
    ap.add_argument("--work", required=True)
    ap.add_argument("--half", choices=["judged", "chosen"], default="judged")
    ap.add_argument("--limit", type=int, default=None, help="only so many prompts: a look, no figure")
    ap.add_argument("--skip-peer", action="store_true")
    ap.add_argument("--calls", type=int, default=20)
    ap.add_argument("--seconds", type=int, default=60)
    args = ap.parse_args()
    args.work = os.path.abspath(args.work)
    rows = make_set(f"{args.work}/set")
    truth, length_ms = make_streams(f"{args.work}/set", rows)
    half = (rows[::2] if args.half == "judged" else rows[1::2])[: args.limit]
    peer = None if args.skip_peer else Peer(f"{args.work}/peer")
    print(f"{len(half)} prompts ({args.half} half), one thread each; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':22s}{'WER clean':>10s}{'WER 15 dB':>10s}{'CPU s/audio s':>15s}{'loops':>7s}")
    results = {tag: measure(args, half, tag, peer) for tag in ("clean", "15 dB")}
    for k, name in enumerate(["patchcord", "faster-whisper int8"][: 1 if args.skip_peer else 2]):
        clean, noisy = results["clean"][k], results["15 dB"][k]
        print(f"{name:22s}{clean.wer:9.2f}%{noisy.wer:9.2f}%{clean.rate:15.4f}{clean.loops + noisy.loops:7d}")
    if peer:
        mine, theirs = results["clean"]
        print(f"ratio 1/{theirs.rate / mine.rate:.2f} of the peer's CPU, WER {mine.wer - theirs.wer:+.2f} points")
    strings = make_digits(f"{args.work}/set")
    got = ours(args.binary, [path for _, path in strings])
    whole = 0
    for text, path in strings:
        heard = "".join(re.findall(r"\d", " ".join(str(DIGITS.index(w)) if w in DIGITS else w for w in re.findall(r"[a-z]+|\d", got[path][0].lower()))))
        whole += heard == text
        if heard != text:
            print(f"  digits {text}: heard {got[path][0].strip()!r}")
    print(f"digit strings whole: {whole} of {len(strings)}")
    print(f"{'true end -> final, ms':24s}{'calls':>6s}{'p50':>7s}{'p95':>7s}{'lost':>10s}{'longest s':>10s}{'shed':>6s}{'late frames':>12s}")
    for tag, calls in (("clean", 1), ("15 dB", 1), ("5 dB", 1), ("clean", args.calls)):
        r = endpoints(args, tag, truth, length_ms, calls, args.seconds)
        print(f"{tag:24s}{calls:6d}{r['p50']:7.0f}{r['p95']:7.0f}{r['lost']:5d}/{r['said']:<4d}{r['longest_ms'] / 1000:10.1f}{r['shed']:6d}{r['late_frames']:12d}")


main()
