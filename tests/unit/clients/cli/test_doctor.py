"""``cortex doctor`` finds what would keep a server from working."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from sentry_sdk.envelope import Envelope

from cortex.cli.checkup import FREE_BYTES_COMFORT, FREE_BYTES_MIN, judge_free


@pytest.fixture
def doctor(cortex: Any, tmp_path: Path) -> Any:
    def run(*arguments: str, **environ: str) -> tuple[int, dict[str, Any]]:
        given = {"CORTEX_HOME": str(tmp_path / "home"), **environ}
        done = cortex("doctor", "--json", *arguments, **given)
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        return done.exit_code, checks

    return run


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_a_good_place_passes(doctor: Any, tmp_path: Path):
    code, checks = doctor(CORTEX_PORT=free_port())
    assert code == 0
    assert {name: check["status"] for name, check in checks.items()} == {
        "python": "ok",
        "settings": "ok",
        "data folder": "ok",
        "disk": checks["disk"]["status"],
        "sqlite": "ok",
        "model": "ok",
        "memory": checks["memory"]["status"],
        "server": "ok",
        "housekeeping": "ok",
    }
    assert "384 dimensions" in checks["model"]["detail"]
    assert "what start-up made frozen" in checks["housekeeping"]["detail"]
    assert "port is free" in checks["server"]["detail"]
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


@pytest.mark.parametrize(
    ("status", "found", "exit_code"),
    [("ok", "ok", 0), ("degraded", "warn", 0), ("unhealthy", "fail", 1)],
)
def test_a_running_server_is_asked(
    doctor: Any, server: Any, reply: Any, status: str, found: str, exit_code: int
):
    health = {
        "status": status,
        "service": "cortex",
        "version": "0.1.0",
        "checks": {"embedder": {"status": status}, "database": {"status": "ok"}},
    }
    server.then(reply(503 if status == "unhealthy" else 200, health))
    code, checks = doctor("--url", server.url)
    assert (code, checks["server"]["status"]) == (exit_code, found)
    if found != "ok":
        assert checks["server"]["hint"] == "Look at: embedder."


@pytest.mark.parametrize("body", [b"<html>", {"status": "ok", "service": "other"}])
def test_another_program_on_the_port_is_told(
    doctor: Any, server: Any, reply: Any, body: Any
):
    server.then(reply(200, body))
    code, checks = doctor("--url", server.url)
    assert code == 1
    assert "another program" in checks["server"]["detail"]


def test_a_program_that_hangs_up_is_told(doctor: Any, server: Any, reply: Any):
    server.then(reply(drop=True))
    _, checks = doctor("--url", server.url)
    assert "another program" in checks["server"]["detail"]


def test_a_server_that_was_named_must_be_there(doctor: Any):
    url = f"http://127.0.0.1:{free_port()}"
    code, checks = doctor("--url", url)
    assert code == 1
    assert checks["server"]["status"] == "fail"
    assert checks["server"]["detail"] == f"none at {url}"


def test_a_data_folder_that_cannot_be_is_told(doctor: Any, tmp_path: Path):
    (tmp_path / "file").write_text("")
    code, checks = doctor(
        CORTEX_PORT=free_port(), CORTEX_HOME=str(tmp_path / "file" / "home")
    )
    assert code == 1
    assert checks["data folder"]["status"] == "fail"
    assert checks["sqlite"]["status"] == "fail"


@pytest.mark.parametrize(
    ("environ", "status", "told"),
    [
        ({"CORTEX_ENV": "production"}, "fail", "signing key"),
        ({"CORTEX_PROT": "1"}, "fail", "CORTEX_PROT"),
        ({"CORTEX_HOST": "0.0.0.0"}, "warn", "without tokens"),
        (
            {"CORTEX_TOKENS": "ana:0123456789abcdef0123:memory"},
            "ok",
            "1 tokens",
        ),
    ],
)
def test_settings_are_judged(doctor: Any, environ: Any, status: str, told: str):
    _, checks = doctor(CORTEX_PORT=free_port(), **environ)
    assert checks["settings"]["status"] == status
    assert told in checks["settings"]["detail"]


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (FREE_BYTES_MIN - 1, "fail"),
        (FREE_BYTES_MIN, "warn"),
        (FREE_BYTES_COMFORT, "ok"),
    ],
)
def test_room_on_the_disk(free: int, status: str):
    assert judge_free(free).status == status


@pytest.mark.parametrize(
    ("status", "found", "told"),
    [(200, "ok", "takes errors"), (429, "ok", "takes errors"), (403, "warn", "403")],
)
def test_a_sentry_project_is_asked_with_an_empty_envelope(
    doctor: Any, server: Any, reply: Any, status: int, found: str, told: str
):
    server.usual = lambda _: reply(status, {})
    dsn = server.url.replace("//", "//abc123@") + "/7"
    code, checks = doctor(CORTEX_PORT=free_port(), CORTEX_SENTRY_DSN=dsn)
    assert (code, checks["sentry"]["status"]) == (0, found)
    assert told in checks["sentry"]["detail"]
    (seen,) = [one for one in server.seen if one.path == "/api/7/envelope/"]
    assert "sentry_key=abc123" in seen.headers["x-sentry-auth"]
    assert Envelope.deserialize(seen.raw).items == []


def test_a_sentry_project_that_is_away_is_a_warning(doctor: Any):
    dsn = f"http://abc123@127.0.0.1:{free_port()}/7"
    code, checks = doctor(CORTEX_PORT=free_port(), CORTEX_SENTRY_DSN=dsn)
    assert (code, checks["sentry"]["status"]) == (0, "warn")
    assert "abc123" not in checks["sentry"]["detail"]
    _, checks = doctor(CORTEX_PORT=free_port(), CORTEX_SENTRY_DSN="nonsense")
    assert checks["settings"]["status"] == "fail"


def test_the_table_is_for_people(cortex: Any, tmp_path: Path):
    done = cortex("doctor", CORTEX_PORT=free_port(), CORTEX_HOME=str(tmp_path))
    assert done.exit_code == 0
    assert "port is free" in done.stdout


def test_config_show_masks_and_names_the_source(cortex: Any):
    told = json.loads(
        cortex("config", "show", "--json", CORTEX_SIGNING_KEY="0123456789abcdef").stdout
    )
    (key,) = [row for row in told if row["name"] == "signing_key"]
    assert (key["source"], key["variable"]) == ("environment", "CORTEX_SIGNING_KEY")
    assert "0123456789" not in key["value"]
    assert "environment" in cortex("config", "show", CORTEX_PORT="5000").stdout


def test_config_check_is_an_exit_code(cortex: Any):
    assert cortex("config", "check").exit_code == 0
    bad = cortex("config", "check", CORTEX_ENV="production")
    assert bad.exit_code == 1
    assert "signing key" in bad.stderr
    assert json.loads(cortex("config", "check", "--json").stdout)["ok"] is True


def test_nothing_is_cut_off_in_a_pipe(cortex: Any):
    told = cortex("config", "show", COLUMNS=None).stdout
    assert "CORTEX_TLS__CLIENT_AUTHORITIES" in told
    assert "CORTEX_QUOTAS__TOKENS" in told
    assert "CORTEX_TRACE__OTLP_ENDPOINT" in told


@pytest.mark.parametrize(
    ("status", "found", "told"), [(200, "ok", "takes traces"), (404, "warn", "404")]
)
def test_a_collector_is_asked_with_an_empty_request(
    doctor: Any, server: Any, reply: Any, status: int, found: str, told: str
):
    server.usual = lambda _: reply(status, {})
    code, checks = doctor(
        CORTEX_PORT=free_port(), CORTEX_TRACE__OTLP_ENDPOINT=server.url
    )
    assert (code, checks["trace export"]["status"]) == (0, found)
    assert told in checks["trace export"]["detail"]
    (seen,) = [one for one in server.seen if one.path == "/v1/traces"]
    assert json.loads(seen.raw) == {}


def test_a_collector_that_is_away_is_a_warning(doctor: Any):
    address = f"http://127.0.0.1:{free_port()}"
    code, checks = doctor(CORTEX_PORT=free_port(), CORTEX_TRACE__OTLP_ENDPOINT=address)
    assert (code, checks["trace export"]["status"]) == (0, "warn")
