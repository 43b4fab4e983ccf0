"""A pod beside a service named ``cortex`` gets variables that are no settings."""

import pytest

from cortex.settings import ConfigurationError, load


def test_service_links_are_not_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "CORTEX_SERVICE_HOST": "10.0.0.7",
        "CORTEX_SERVICE_PORT": "4949",
        "CORTEX_SERVICE_PORT_HTTP": "4949",
        "CORTEX_PORT": "tcp://10.0.0.7:4949",
        "CORTEX_PORT_4949_TCP": "tcp://10.0.0.7:4949",
        "CORTEX_PORT_4949_TCP_ADDR": "10.0.0.7",
    }.items():
        monkeypatch.setenv(name, value)
    assert load().settings.port == 4949


def test_a_port_that_is_no_port_is_still_refused(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORTEX_PORT", "http")
    with pytest.raises(ConfigurationError, match="port"):
        load()
