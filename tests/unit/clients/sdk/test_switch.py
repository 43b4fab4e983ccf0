"""Between Cortex and what was there before."""

import pytest

from cortex_client.errors import ConfigurationError
from cortex_client.switch import either, use_cortex


def refused():
    raise AssertionError("the other one was made")


@pytest.mark.parametrize("word", ["1", "true", "YES", " on "])
def test_on_makes_cortex_and_nothing_else(word):
    environ = {"USE_CORTEX": word}
    assert either(cortex=lambda: "new", otherwise=refused, environ=environ) == "new"


@pytest.mark.parametrize(
    "environ", [{}, *({"USE_CORTEX": w} for w in ("", "0", "False", "no", "off"))]
)
def test_off_makes_what_was_there_before_and_nothing_else(environ):
    assert either(cortex=refused, otherwise=lambda: "old", environ=environ) == "old"


def test_another_word_is_an_error_that_says_what_to_use():
    with pytest.raises(ConfigurationError, match="on, off, auto"):
        use_cortex({"USE_CORTEX": "maybe"})


def test_auto_asks_whether_a_server_is_ready(server):
    reply = type(server.usual(None))
    environ = {"USE_CORTEX": "auto", "CORTEX_URL": server.url}
    server.then(reply(200, {}), reply(503, {}))
    assert use_cortex(environ) is True
    assert use_cortex(environ) is False
    assert [seen.path for seen in server.seen] == ["/ready", "/ready"]
    assert (
        use_cortex({"USE_CORTEX": "auto", "CORTEX_URL": "http://127.0.0.1:9"}) is False
    )


def test_the_process_says_it_when_nobody_else_does(monkeypatch):
    monkeypatch.setenv("USE_CORTEX", "on")
    assert use_cortex() is True
    monkeypatch.delenv("USE_CORTEX")
    assert use_cortex() is False
