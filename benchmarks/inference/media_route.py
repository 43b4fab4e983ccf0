"""POST /embed/multimodal over HTTP at the rate that one client is allowed.

Pictures of up to 1 MP and recordings of up to 10 s take turns, every file a new one, a
request a second. After each answer the same models read the same file in this process:
that time is the baseline, so what is above it is the server's own.
"""

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from benchmarks.claims import Claim
from benchmarks.memory.latency import serving

REQUESTS = 44
SECONDS_BETWEEN = 1.0
SIDES = (320, 640, 1_000)
SECONDS = (2.5, 5.0, 7.5, 10.0)
RATE = 16_000
GOAL_MS = 200.0
ROUTE = "/embed/multimodal"

Wav = Callable[[np.ndarray], bytes]
ModelSeconds = Callable[[bytes, str], float]


def route_claims(
    picture: Path, sound: np.ndarray, wav: Wav, model_seconds: ModelSeconds
) -> list[Claim]:
    """Return the tail of the route, with the models' own beside it."""
    took: dict[str, list[float]] = {"IMAGE": [], "AUDIO": []}
    alone: list[float] = []
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="cortex-media-") as home,
        serving(Path(home)) as (_, client),
    ):
        for number in range(-2, REQUESTS):  # the first two load the models
            kind = "AUDIO" if number % 2 else "IMAGE"
            data = (
                recording(sound, number, wav) if number % 2 else photo(picture, number)
            )
            started = time.perf_counter()
            fine = asked(client, data, kind)
            seconds = time.perf_counter() - started
            if number >= 0:
                failed += not fine
                took[kind].append(seconds)
                alone.append(model_seconds(data, kind))
            time.sleep(max(0.0, started + SECONDS_BETWEEN - time.perf_counter()))
    seconds = [one for kind in took.values() for one in kind]
    medians = ", ".join(
        f"{kind} {1e3 * statistics.median(found):.0f} ms"
        for kind, found in took.items()
    )
    note = (
        f"{REQUESTS - failed} of {REQUESTS} answered, one a second; medians {medians}"
    )
    return [
        Claim(
            "media_route_p95_ms",
            tail(seconds),
            "ms",
            GOAL_MS,
            at_most=True,
            baseline=tail(alone),
            baseline_name="P95 of the models alone on the same files",
            note=note,
        ),
        Claim("media_route_failed", failed, "requests", 0, at_most=True, note=note),
    ]


def asked(client: httpx.Client, data: bytes, kind: str) -> bool:
    """Send a file; tell whether a vector came back."""
    try:
        answer = client.post(ROUTE, files={"file": data}, data={"modality": kind})
    except httpx.HTTPError:
        return False
    return answer.is_success


def photo(picture: Path, number: int) -> bytes:
    """Return the picture in another size and with another corner."""
    side = SIDES[number // 2 % len(SIDES)]
    made = io.BytesIO()
    with Image.open(picture) as whole:
        image = whole.resize((side, side))
        image.paste((number % 256, 0, 0), (0, 0, 8, 8))
        image.save(made, "JPEG", quality=90)
    return made.getvalue()


def recording(sound: np.ndarray, number: int, wav: Wav) -> bytes:
    """Return the beginning of the sound, a little quieter each time."""
    seconds = SECONDS[number // 2 % len(SECONDS)]
    return wav(sound[: int(seconds * RATE)] * (1.0 - number / 1_000))


def tail(seconds: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return 1e3 * statistics.quantiles(seconds, n=20)[-1]
