"""A text finds a stored picture and a stored recording, on a real server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cortex_client import CortexClientSync, RequestError

MEDIA = Path(__file__).parents[1] / "data" / "media"
TEXTS = ["The invoice is due on Friday.", "Ana waters the plants.", "Release is green."]


@pytest.fixture
def server(serve):
    return serve()


def test_texts_find_pictures_recordings_and_films(server):
    with CortexClientSync(server.url) as client:
        client.remember(TEXTS)
        cat = client.remember_file(MEDIA / "chelsea.jpg", source="file:///cat.jpg")
        coffee = client.remember_file(MEDIA / "coffee.jpg", caption="At the station")
        speech = client.remember_file(MEDIA / "leisure.mp3", author="reader")
        assert coffee.content.startswith("At the station\nPicture: espresso")
        assert "leisure to consider" in speech.content
        for query, wanted in (
            ("a photo of my kitten", cat.id),
            ("where did I drink something hot", coffee.id),
            ("how much money could John give them", speech.id),
        ):
            assert client.recall(query, 1).hits[0].id == wanted, query
            by_meaning = client.recall(query, 1, mode="semantic").hits
            assert by_meaning[0].id == wanted, query
        only = client.recall("something I stored", 10, modality="audio").hits
        assert [hit.id for hit in only] == [speech.id]
        found = client.get_memory(cat.id)
        assert found.metadata["media"]["mime_type"] == "image/jpeg"
        client.forget(cat.id)
        left = client.recall("a photo of my kitten", 10).hits
        assert cat.id not in {hit.id for hit in left}
        film_on(client)
        seen = {model.name: model.extra for model in client.models()}
        assert seen["efficientnet-lite0"]["loaded"]
        assert seen["efficientnet-lite0"]["modalities"] == ["image", "video"]
        assert seen["whisper-tiny.en"]["uses"] >= 1
        assert seen["whisper-tiny.en"]["load_seconds"] > 0


def film_on(client):
    """Store a film where ffmpeg is; elsewhere the server says that it is not."""
    if shutil.which("ffmpeg"):
        film = client.remember_file(MEDIA / "film.mp4")
        assert film.found.frames > 1
        assert "amiable" in film.found.transcript
        hits = client.recall("a kitten in a film", 1, modality="video").hits
        assert hits[0].id == film.id
    else:
        with pytest.raises(Exception, match="ffmpeg") as told:
            client.remember_file(MEDIA / "film.mp4")
        assert told.value.status == 501


def test_vectors_of_all_modalities_and_the_command_line(server):
    with CortexClientSync(server.url) as client:
        text = client.embed("a tabby cat")
        picture = client.embed(file=MEDIA / "chelsea.jpg")
        other = client.embed(file=MEDIA / "coffee.jpg")
        assert text.space == picture.space
        near, far = (np.dot(text.embedding, one.embedding) for one in (picture, other))
        assert near > far + 0.2
        native = client.embed(file=MEDIA / "chelsea.jpg", target="native")
        assert (native.dimensions, native.method) == (1280, "native")
        heard = client.embed(file=MEDIA / "amiable.flac", target="native")
        assert heard.dimensions == 96
        with pytest.raises(RequestError) as told:
            client.embed(file=MEDIA / "amiable.flac", modality="VIDEO")
        assert told.value.code == "INVALID_MODALITY"
    command = [sys.executable, "-m", "cortex", "embed", "--url", server.url, "--json"]
    done = subprocess.run(
        [*command, "--file", str(MEDIA / "coffee.jpg")],
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["found"]["labels"][0]["name"] == "espresso"
    stored = subprocess.run(
        [
            sys.executable, "-m", "cortex", "remember", "--url", server.url,
            "--file", str(MEDIA / "amiable.flac"), "--tag", "books",
        ],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert "amiable himself" in stored.stderr
