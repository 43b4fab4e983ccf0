import json
import logging
from io import StringIO

import pytest

from cortex.foundation.errors import ValidationError
from cortex.telemetry import correlation
from cortex.telemetry.logs import LogOptions, build_logger, route_stdlib
from cortex.testing.memory import VirtualClock


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
