"""Where the server is."""

import pytest

from cortex_client.discovery import locate, target
from cortex_client.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        (None, {}, "http://127.0.0.1:4949"),
        (None, {"CORTEX_PORT": "5000"}, "http://127.0.0.1:5000"),
        (None, {"CORTEX_PORT": "tcp://10.0.0.1:4949"}, "http://127.0.0.1:4949"),
        (None, {"CORTEX_PORT": "0"}, "http://127.0.0.1:4949"),
        (None, {"CORTEX_URL": "https://cortex.example/"}, "https://cortex.example"),
        (
            "http://here:1/",
            {"CORTEX_URL": "http://there", "CORTEX_SERVICE_HOST": "k"},
            "http://here:1",
        ),
        (None, {"CORTEX_SERVICE_HOST": "10.0.0.1"}, "http://10.0.0.1:4949"),
        (
            None,
            {"CORTEX_SERVICE_HOST": "fd00::1", "CORTEX_SERVICE_PORT": "80"},
            "http://[fd00::1]:80",
        ),
        (
            None,
            {"CORTEX_SERVICE_HOST": "10.0.0.1", "CORTEX_URL": "http://named"},
            "http://named",
        ),
    ],
)
def test_the_order_of_places(
    given: str | None, environ: dict[str, str], url: str
) -> None:
    assert locate(given, environ) == url


@pytest.mark.parametrize("wrong", ["localhost:4949", "ftp://x", "http://"])
def test_something_else_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address"):
        locate(wrong, {})


def test_manners_come_from_the_environment_unless_given() -> None:
    environ = {
        "CORTEX_TOKEN": "t",
        "CORTEX_TIMEOUT": "2.5",
        "CORTEX_MAX_RETRIES": "0",
    }
    where = target(None, None, None, None, environ)
    assert (where.token, where.timeout_seconds, where.max_retries) == ("t", 2.5, 0)
    where = target(None, "own", 9, 4, environ)
    assert (where.token, where.timeout_seconds, where.max_retries) == ("own", 9, 4)
    plain = target(None, None, None, None, {})
    assert (plain.token, plain.timeout_seconds, plain.max_retries) == (None, 30, 3)


@pytest.mark.parametrize(
    "environ", [{"CORTEX_TIMEOUT": "soon"}, {"CORTEX_TIMEOUT": "0"}]
)
def test_a_wrong_number_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        target(None, None, None, None, environ)
