import asyncio
import errno
import json
import logging
import random
import re
from io import StringIO

import pytest

from cortex.foundation.errors import ValidationError
from cortex.telemetry import correlation
from cortex.telemetry.logs import (
    GATHERED_LINES_MAX,
    LogOptions,
    build_logger,
    route_stdlib,
)
from cortex.telemetry.redaction import redact
from cortex.telemetry.tracing import trace_ids
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.memory import VirtualClock


class Written(StringIO):
    """A stream that keeps each write, and can be on a full disk."""

    def __init__(self):
        super().__init__()
        self.blocks = []
        self.full = False

    def write(self, text):
        if self.full:
            raise OSError(errno.ENOSPC, "the disk is full")
        self.blocks.append(text)
        return len(text)


def events(block):
    return [json.loads(line)["event"] for line in block.splitlines()]


def logged(write, **options):
    stream = StringIO()
    log = build_logger(LogOptions(version="1.2", **options), VirtualClock(), stream)
    write(log)
    return stream.getvalue()


def test_a_line_is_json_with_brand_service_version_and_time():
    line = json.loads(logged(lambda log: log.info("started", port=4949)))
    assert line == {
        "event": "started",
        "port": 4949,
        "level": "info",
        "timestamp": "2023-11-14T22:13:20.000+00:00",
        "service": "cortex",
        "version": "1.2",
        "brand": "brAInwav",
    }


def test_the_current_correlation_id_is_on_the_line():
    with correlation.bound("abc"):
        line = json.loads(logged(lambda log: log.info("x")))
    assert line["correlation_id"] == "abc"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "s3cr3t"),
        ("api_key", "s3cr3t"),
        ("openai_api_key", "s3cr3t"),
        ("Authorization", "s3cr3t"),
        ("note", "Authorization: Bearer s3cr3t"),
        ("url", "postgres://user:s3cr3t@host/db"),
        ("path", "/events/stream?token=s3cr3t&x=1"),
        ("nested", {"password": "s3cr3t"}),
        ("listed", [{"signing_key": "s3cr3t"}]),
        ("content", "s3cr3t"),
        ("query", "s3cr3t"),
        ("items", [{"content": "s3cr3t"}]),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_and_content_never_reach_the_log(name, value, as_json):
    text = logged(lambda log: log.info("x", **{name: value}), json=as_json)
    assert "s3cr3t" not in text
    assert "x" in text


def test_a_traceback_is_kept_and_masked():
    def fail(log):
        error = RuntimeError("cannot reach https://me:s3cr3t@host")
        log.error("failed", exc_info=error)

    line = json.loads(logged(fail))
    assert "RuntimeError" in line["exception"]
    assert "s3cr3t" not in line["exception"]


def test_lines_below_the_level_are_not_written():
    assert logged(lambda log: log.info("x"), level="warning") == ""


def test_text_that_json_cannot_carry_is_still_logged():
    line = json.loads(logged(lambda log: log.info("x", path="\ud800")))
    assert line["path"] == "\\ud800"


@pytest.mark.parametrize("value", [2**70, {"name": "\ud800"}, ["\ud800", 2**70]])
def test_what_json_cannot_carry_costs_neither_the_line_nor_its_company(value):
    line = json.loads(logged(lambda log: log.info("x", odd=value, port=4949)))
    assert (line["event"], line["port"]) == ("x", 4949)
    assert line["odd"]


def test_an_unknown_level_is_refused_by_name():
    with pytest.raises(ValidationError, match="loud"):
        build_logger(LogOptions(level="loud"), VirtualClock())


def test_library_loggers_go_the_same_way():
    stream = StringIO()
    log = build_logger(LogOptions(), VirtualClock(), stream)
    route_stdlib(log, "info", "cortex-test-library")
    library = logging.getLogger("cortex-test-library")
    library.debug("quiet")
    library.warning("disk %s", "slow")
    [line] = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert (line["event"], line["level"]) == ("disk slow", "warning")
    assert line["logger"] == "cortex-test-library"
    library.handlers.clear()


@pytest.mark.parametrize(
    "text",
    [
        "mail ann.lee+work@mail.example.org now",
        "call +49 30 901820 or +1 (415) 555-2671",
        "card 4111 1111 1111 1111 was refused",
    ],
)
def test_what_names_a_person_is_masked(text):
    shown = redact("reason", text)
    assert "[personal]" in shown
    assert not re.search(r"ann|901820|2671|4111", shown)


@pytest.mark.parametrize(
    "text",
    [
        "took 1234 5678 ms in 2026-11-21T11:29:25.257+00:00",
        "01a1fdde-46f9-7196-aa1b-f59953839952",
        "@app.route of 10.0.0.1:4949",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "delta +12.5 and 3+4 = 7",
        "a" * 100_000 + "@",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert redact("reason", text) == text


def test_people_and_secrets_are_masked_wherever_they_stand():
    value = {"to": ["ann@example.org", {"note": "Bearer abcdefgh12345678"}]}
    assert redact("facts", value) == {"to": ["[personal]", {"note": "[redacted]"}]}


async def test_gathered_lines_come_together_and_a_warning_takes_them_along():
    stream = Written()
    log = build_logger(LogOptions(), VirtualClock(), stream)
    log.gather(3600)
    log.info("first")
    log.info("second")
    assert stream.blocks == []
    log.warning("third")
    [block] = stream.blocks
    assert events(block) == ["first", "second", "third"]
    log.info("fourth")
    log.gather(0)
    log.info("fifth")
    assert [events(block) for block in stream.blocks[1:]] == [["fourth"], ["fifth"]]


async def test_a_gathered_line_waits_no_longer_than_was_said():
    stream = Written()
    log = build_logger(LogOptions(), VirtualClock(), stream)
    log.gather(0.001)
    log.info("alone")
    async with asyncio.timeout(60):
        while not stream.blocks:
            await asyncio.sleep(0.001)
    assert events("".join(stream.blocks)) == ["alone"]


async def test_a_line_that_waits_tells_of_when_and_in_what_it_was_said():
    stream, clock, kept = Written(), VirtualClock(), []
    log = build_logger(LogOptions(), clock, stream, keep=kept.append)
    log.gather(3600)
    tracer = Tracer(clock, random.Random(5).getrandbits, Sampling())
    with correlation.bound("abc"), tracer.root("request"):
        log.info("then", token="s3cr3t")
        ids = trace_ids()
    clock.advance(60)
    with correlation.bound("other"):
        log.warning("now")
    then, now = (json.loads(line) for line in "".join(stream.blocks).splitlines())
    assert then["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert then["correlation_id"] == "abc"
    assert (then["trace_id"], then["span_id"]) == ids
    assert then["token"] == "[redacted]"
    assert now["timestamp"] == "2023-11-14T22:14:20.000+00:00"
    assert [json.loads(line)["event"] for line in kept] == ["then", "now"]


async def test_neither_a_flood_nor_a_thread_waits():
    stream = Written()
    log = build_logger(LogOptions(), VirtualClock(), stream)
    log.gather(3600)
    for number in range(GATHERED_LINES_MAX):
        log.info("flood", number=number)
    assert len(events(stream.blocks[0])) == GATHERED_LINES_MAX
    await asyncio.to_thread(log.info, "from a thread")
    assert events(stream.blocks[1]) == ["from a thread"]


def test_a_full_disk_below_the_log_fails_nobody():
    stream = Written()
    stream.full = True
    log = build_logger(LogOptions(), VirtualClock(), stream)
    log.error("lost")
    stream.full = False
    log.error("written")
    assert events("".join(stream.blocks)) == ["written"]
