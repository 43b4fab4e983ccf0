"""Files over HTTP: what is taken, what is refused, and what is left behind."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

MEDIA = Path(__file__).parents[2] / "data" / "media"
CAT = (MEDIA / "chelsea.jpg").read_bytes()
SPEECH = (MEDIA / "leisure.mp3").read_bytes()
EMBED = "/embed/multimodal"
REMEMBER = "/memory/media"


def form(content=CAT, modality="IMAGE", declared="image/jpeg", **fields):
    return {
        "data": {"modality": modality, **fields},
        "files": {"file": ("a", content, declared)},
    }


async def test_a_picture_has_a_vector_among_texts_and_one_of_its_own(http):
    answer = (await http.post(EMBED, **form())).json()
    assert answer["space"] == "fake-8"
    assert answer["dimensions"] == len(answer["embedding"]) == 8
    assert (answer["modality"], answer["mime_type"]) == ("IMAGE", "image/jpeg")
    assert (answer["size"], answer["method"]) == (len(CAT), "conse")
    assert answer["processing_time_ms"] >= 0
    assert answer["found"]["width"] == 320
    assert np.linalg.norm(answer["embedding"]) == pytest.approx(1, abs=1e-6)
    own = (await http.post(EMBED, **form(target="native", normalize="false"))).json()
    assert (own["method"], own["dimensions"]) == ("native", 64)
    assert own["space"] != answer["space"]
    assert np.linalg.norm(own["embedding"]) > 2


async def test_recordings_and_texts_come_the_same_way(http):
    heard = await http.post(EMBED, **form(SPEECH, "AUDIO", "audio/mpeg"))
    assert heard.json()["method"] == "transcript"
    assert heard.json()["found"]["transcript"]
    body = {"modality": "TEXT", "text": "tea"}
    typed = (await http.post(EMBED, json=body)).json()
    sent = (await http.post(EMBED, **form(b"tea", "text", "text/plain"))).json()
    assert typed["embedding"] == sent["embedding"]
    assert (typed["size"], typed["mime_type"]) == (3, "text/plain")


@pytest.mark.parametrize(
    ("sent", "status", "code", "field"),
    [
        (form(modality="SMELL"), 422, "INVALID_MODALITY", "modality"),
        (form(modality="AUDIO"), 422, "INVALID_MODALITY", "modality"),
        (form(declared="image/png"), 422, "SECURITY_VIOLATION", "file"),
        (form(b"\x7fELF\0\0\0\0"), 415, "UNSUPPORTED_MEDIA", "file"),
        (form(CAT[:900]), 422, "VALIDATION_ERROR", "file"),
        (form(b""), 422, "VALIDATION_ERROR", "file"),
        (form(CAT + b"<script>"), 422, "SECURITY_VIOLATION", "file"),
        (form(normalize="perhaps"), 422, "VALIDATION_ERROR", "normalize"),
        (form(target="sky"), 422, "VALIDATION_ERROR", "target"),
        (form(colour="red"), 422, "VALIDATION_ERROR", "colour"),
        (form(b"a" * 1_048_577, "TEXT", "text/plain"), 413, "PAYLOAD_TOO_LARGE", "file"),
        ({"data": {"modality": "IMAGE"}, "files": {"x": b"1"}}, 422, "VALIDATION_ERROR",
         "file"),
        ({"json": {"modality": "IMAGE", "text": "x"}}, 422, "INVALID_MODALITY",
         "modality"),
        ({"json": {"modality": "TEXT", "text": " "}}, 422, "VALIDATION_ERROR", "text"),
        ({"json": {"modality": "TEXT", "text": "a" * 1_048_577}}, 413, "TEXT_TOO_LONG",
         "text"),
        ({"json": {"text": "x"}}, 422, "VALIDATION_ERROR", "modality"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 415,
         "UNSUPPORTED_MEDIA", "content-type"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400,
         "MALFORMED_BODY", "content-type"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told(http, sent, status, code, field):
    answer = await http.post(EMBED, **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["field"] == field


BOUNDARY = {"content-type": "multipart/form-data; boundary=b"}
MODALITY = b'--b\r\nContent-Disposition: form-data; name="modality"\r\n\r\nIMAGE\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (MODALITY + FILE + CAT, 400, "MALFORMED_BODY"),
        (b"nonsense", 400, "MALFORMED_BODY"),
        (MODALITY + MODALITY + b"--b--\r\n", 422, "VALIDATION_ERROR"),
        (FILE + b"x\r\n" + FILE + b"y\r\n--b--\r\n", 422, "VALIDATION_ERROR"),
        (MODALITY + FILE + bytes(10_485_761), 413, "PAYLOAD_TOO_LARGE"),
        (MODALITY.replace(b"IMAGE", b"x" * 70_000), 413, "PAYLOAD_TOO_LARGE"),
        (MODALITY.replace(b"IMAGE", b"\xff") + b"--b--\r\n", 422, "VALIDATION_ERROR"),
    ],
)
async def test_broken_forms_are_refused(http, body, status, code):
    answer = await http.post(EMBED, content=body, headers=BOUNDARY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_file_over_the_largest_limit_is_refused_by_its_length(http):
    headers = BOUNDARY | {"content-length": str(200 * 1024 * 1024)}
    answer = await http.post(EMBED, content=b"", headers=headers)
    assert answer.status_code == 413


async def test_a_file_becomes_a_memory_that_a_text_finds(http):
    item = '{"content": "Our cat", "tags": ["pets"], "source": "file:///cat.jpg"}'
    stored = (await http.post(REMEMBER, **form(item=item))).json()
    assert stored["created"] is True
    assert stored["content"].startswith("Our cat\nPicture: ")
    memory = (await http.get(f"/memory/{stored['id']}")).json()
    assert (memory["modality"], memory["tags"]) == ("image", ["pets"])
    assert memory["metadata"]["media"]["sha256"] == stored["sha256"]
    hits = await http.post("/memory/search", json={"query": "cat", "modality": "image"})
    assert hits.json()["hits"][0]["id"] == stored["id"]
    again = (await http.post(REMEMBER, **form(item=item))).json()
    assert (again["id"], again["created"]) == (stored["id"], False)


@pytest.mark.parametrize(
    ("item", "field"),
    [("{", "item"), ("[]", "item"), ('{"importance": 7}', "importance"),
     ('{"colour": 1}', "colour")],
)  # fmt: skip
async def test_an_item_that_is_wrong_is_told(http, item, field):
    answer = await http.post(REMEMBER, **form(item=item))
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)


async def test_scopes_and_namespaces_hold(served):
    async with served.client("reader-token-012345678") as http:
        assert (await http.post(EMBED, **form())).status_code == 403
        assert (await http.post(REMEMBER, **form())).status_code == 403
    async with served.client("bound-token-0123456789") as http:
        outside = form(item='{"namespace": "elsewhere"}')
        assert (await http.post(REMEMBER, **outside)).status_code == 403
        inside = form(item='{"namespace": "team/a"}')
        assert (await http.post(REMEMBER, **inside)).status_code == 200
    async with served.client(None) as http:
        assert (await http.post(EMBED, **form())).status_code == 401


async def test_sixty_files_a_minute(served, http):
    body = {"modality": "TEXT", "text": "tea"}
    for _ in range(60):
        assert (await http.post(EMBED, json=body)).status_code == 200
    refused = await http.post(EMBED, json=body)
    assert refused.status_code == 429
    assert refused.json()["error"]["limit"] == 60
    served.clock.advance(60)
    assert (await http.post(EMBED, json=body)).status_code == 200


async def test_nothing_is_left_of_an_upload_whose_client_leaves(served):
    async def half():
        yield MODALITY + FILE + CAT
        raise asyncio.CancelledError

    before = len(list(Path("/proc/self/fd").iterdir()))
    async with served.client() as http:
        with pytest.raises(asyncio.CancelledError):
            await http.post(EMBED, content=half(), headers=BOUNDARY)
        assert (await http.post(EMBED, **form())).status_code == 200
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
