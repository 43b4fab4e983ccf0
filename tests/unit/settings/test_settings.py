import os
import re
import stat

import pytest
from pydantic import BaseModel

from cortex.settings import ConfigurationError, Settings, is_loopback, load

KEY = "k" * 32
TOKENS = "ci:a-token-that-is-long-enough:memory"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.upper().startswith("CORTEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(**overrides):
    return load(overrides).settings


def test_defaults_need_nothing():
    found = settings()
    found.check()
    assert (found.host, found.port, found.brand) == ("127.0.0.1", 4949, "brAInwav")
    assert (found.max_token_budget, found.default_ttl) == (4096, 120)
    assert found.context_size_cap == 30720
    assert found.database_file.name == "cortex.db"
    assert found.open_access


def test_later_layers_win(monkeypatch, clean):
    file, folder = clean / "cortex.toml", clean / "secrets"
    folder.mkdir()

    def ports():
        return load().settings.port, load().sources.get("port")

    file.write_text("port = 1")
    assert ports() == (1, "file")
    monkeypatch.setenv("CORTEX_PORT", "2")
    assert ports() == (2, "environment")
    monkeypatch.setenv("CORTEX_SECRETS_DIR", str(folder))
    (folder / "cortex_port").write_text("3")
    assert ports() == (3, "secrets")
    assert load({"port": 4, "host": None}).settings.port == 4


def test_nested_values_of_several_layers_are_joined(monkeypatch, clean):
    (clean / "cortex.toml").write_text('[openai]\nbase_url = "http://x"')
    monkeypatch.setenv("CORTEX_OPENAI__API_KEY", "key-of-somebody")
    loaded = load()
    assert loaded.settings.openai.base_url == "http://x"
    assert loaded.settings.openai.api_key.get_secret_value() == "key-of-somebody"
    sources = {line.name: line.source for line in loaded.describe()}
    assert sources["openai.base_url"] == "file"
    assert sources["openai.api_key"] == "environment"


def test_a_file_may_be_named(monkeypatch, clean):
    (clean / "other.toml").write_text("port = 7")
    monkeypatch.setenv("CORTEX_CONFIG", str(clean / "other.toml"))
    assert settings().port == 7
    monkeypatch.setenv("CORTEX_CONFIG", str(clean / "none.toml"))
    with pytest.raises(ConfigurationError, match=re.escape("none.toml")):
        load()


def test_tokens_may_be_a_table_of_the_file(clean):
    (clean / "cortex.toml").write_text(
        '[tokens.ci]\ntoken = "abc"\nscopes = ["memory"]\n'
    )
    [record] = settings().token_records()
    assert record.name == "ci"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("CORTEX_PROT", "1", "CORTEX_PORT"),
        ("CORTEX_PORT", "many", "port (from environment)"),
        ("CORTEX_PORT", "70000", "port (from environment)"),
        ("CORTEX_OPENAI__BASE", "x", "openai.base"),
        ("CORTEX_FS_ROOTS", "{", "fs_roots"),
        ("CORTEX_LOG_LEVEL", "loud", "log_level"),
        ("CORTEX_TRACE__OTLP_ENDPOINT", "localhost:4318", "trace.otlp_endpoint"),
        ("CORTEX_TRACE__OTLP_ENDPOINT", "http://[bad", "http://127.0.0.1:4318"),
        ("CORTEX_TRACE__OTLP_ENDPOINT", "http://host:99999", "trace.otlp_endpoint"),
        ("CORTEX_SECRETS_DIR", "/nowhere/at/all", "/nowhere/at/all"),
    ],
)
def test_a_wrong_name_or_value_is_told_with_its_place(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load()
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "did you mean port"),
        ("[openai]\nkey = 1", "openai.key"),
        ("port =", "cortex.toml"),
        ('tokens = "broken"', "CORTEX_TOKENS"),
    ],
)
def test_a_wrong_file_is_told(clean, text, told):
    (clean / "cortex.toml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load().settings.check()
    assert told in str(refused.value)


def test_an_empty_variable_names_no_file_of_objectives(monkeypatch):
    monkeypatch.setenv("CORTEX_SLO_FILE", "")
    assert settings().slo_file is None


@pytest.mark.parametrize(
    "name",
    ["CORTEX_URL", "CORTEX_TOKEN", "CORTEX_TIMEOUT", "CORTEX_MAX_RETRIES"],
)
def test_names_of_the_client_are_let_through(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    load()


@pytest.mark.parametrize("name", ["CORTEX_FAST_TEST", "CORTEX_PY_FAST_TEST"])
def test_fast_test_has_two_names(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert settings().fast_test


@pytest.mark.parametrize(
    ("value", "told"),
    [("short", "shorter"), ("k" * 16, None)],
)
def test_a_signing_key_must_be_long_enough(value, told):
    found = settings(signing_key=value)
    if told is None:
        found.check()
        assert found.signing_key_bytes() == value.encode()
    else:
        with pytest.raises(ConfigurationError, match=told):
            found.check()


def test_production_starts_when_all_is_set():
    settings(env="production", signing_key=KEY, tokens=TOKENS).check()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"tokens": TOKENS}, "signing key"),
        ({"signing_key": KEY}, "CORTEX_TOKENS"),
        ({"signing_key": KEY, "tokens": "ci:short:memory"}, "16 characters"),
    ],
)
def test_production_refuses_what_is_weak(overrides, told):
    with pytest.raises(ConfigurationError, match=told):
        settings(env="production", **overrides).check()


def test_production_refuses_a_key_file_that_others_can_read(clean):
    file = clean / "key"
    file.write_text(KEY)
    given = {"env": "production", "signing_key_file": str(file), "tokens": TOKENS}
    file.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH)
    with pytest.raises(ConfigurationError, match="readable by everyone"):
        settings(**given).check()
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    settings(**given).check()


def test_a_missing_key_file_is_told(clean):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings(signing_key_file=str(clean / "none")).check()


@pytest.mark.parametrize(
    ("overrides", "open_access"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"tokens": TOKENS}, False),
        ({"env": "production"}, False),
    ],
)
def test_only_a_local_server_without_tokens_is_open(overrides, open_access):
    assert settings(**overrides).open_access is open_access


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "example.org", "10.0.0.1", ""])
def test_other_names(host):
    assert not is_loopback(host)


def test_what_is_shown_holds_no_secret(monkeypatch):
    monkeypatch.setenv("CORTEX_TOKENS", "ci:s3cr3t-s3cr3t-s3cr3t:memory")
    monkeypatch.setenv("CORTEX_SIGNING_KEY", "s3cr3t" * 6)
    monkeypatch.setenv("CORTEX_REDIS_URL", "redis://:s3cr3t@host")
    loaded = load()
    lines = loaded.describe()
    assert "s3cr3t" not in repr(lines) + repr(loaded.settings)
    shown = {line.name: line for line in lines}
    assert shown["tokens"].value == "********"
    assert shown["port"].variable == "CORTEX_PORT"
    assert shown["openai.base_url"].variable == "CORTEX_OPENAI__BASE_URL"


def test_every_setting_says_what_it_is():
    assert all(line.description.endswith(".") for line in load().describe())


def test_every_setting_is_described_and_knows_its_source(monkeypatch):
    monkeypatch.setenv("CORTEX_TRACE__RATIO", "0.5")
    lines = {line.name: line for line in load().describe()}
    tables = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
    }
    wanted = {f"{name}.{part}" for name in tables for part in tables[name].model_fields}
    assert wanted | (set(Settings.model_fields) - set(tables)) == set(lines)
    assert (lines["trace.ratio"].value, lines["trace.ratio"].source) == (
        "0.5",
        "environment",
    )
