"""Settings that say where a secret is, instead of what it is."""

import json
import os

import pytest

from cortex.settings import ConfigurationError, fetch_secrets, load, load_with_secrets

CANARY = "canary-behind-a-reference-9e1"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.upper().startswith("CORTEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLACE", CANARY)
    return tmp_path


def text(secret):
    return secret.get_secret_value()


@pytest.mark.parametrize(
    ("variable", "get"),
    [
        ("CORTEX_SIGNING_KEY", lambda s: s.signing_key_bytes().decode()),
        ("CORTEX_OPENAI__API_KEY", lambda s: text(s.openai.api_key)),
        ("CORTEX_REDIS_URL", lambda s: text(s.redis_url)),
        ("CORTEX_EVENTS_URL", lambda s: text(s.events_url)),
        ("CORTEX_VAULT__TOKEN", lambda s: text(s.vault.token)),
        ("CORTEX_VAULT__SECRET_ID", lambda s: text(s.vault.secret_id)),
        ("CORTEX_ENCRYPTION__KEY", lambda s: text(s.encryption.key)),
    ],
)
def test_every_secret_may_be_a_variable(monkeypatch, variable, get):
    monkeypatch.setenv(variable, "env:PLACE")
    assert get(load_with_secrets().settings) == CANARY
    # What is shown is the place; what was fetched is shown to nobody.
    for loaded in (load(), load_with_secrets()):
        assert CANARY not in repr(loaded) + repr(loaded.describe())
    assert "env:PLACE" in repr(load().describe())


def test_files_and_folders_are_places_too(monkeypatch, clean):
    file, folder = clean / "key", clean / "secrets"
    file.write_text(CANARY + "\n")
    file.chmod(0o600)
    folder.mkdir()
    (folder / "openai").write_text("from-the-folder")
    monkeypatch.setenv("CORTEX_SECRETS_DIR", str(folder))
    monkeypatch.setenv("CORTEX_SIGNING_KEY", f"file:{file}")
    monkeypatch.setenv("CORTEX_OPENAI__API_KEY", "dir:openai")
    settings = load_with_secrets().settings
    assert settings.signing_key_bytes() == CANARY.encode()
    assert text(settings.openai.api_key) == "from-the-folder"
    file.chmod(0o644)
    with pytest.raises(
        ConfigurationError, match=r"CORTEX_SIGNING_KEY.*others can read"
    ):
        load_with_secrets()


def test_tokens_as_a_whole_and_one_by_one(monkeypatch):
    monkeypatch.setenv("PLACE", "ci:a-token-that-is-long:memory")
    monkeypatch.setenv("CORTEX_TOKENS", "env:PLACE")
    [record] = load_with_secrets().settings.token_records()
    assert record.name == "ci"
    monkeypatch.setenv("PLACE", "a-token-that-is-long")
    entry = {"token": "env:PLACE", "scopes": ["memory"]}
    monkeypatch.setenv("CORTEX_TOKENS", json.dumps({"ci": entry}))
    [again] = load_with_secrets().settings.token_records()
    assert again.digest == record.digest


def test_a_token_that_is_named_like_a_place_is_a_token(monkeypatch):
    monkeypatch.setenv("CORTEX_TOKENS", "env:a-token-that-is-long:memory")
    [record] = load_with_secrets().settings.token_records()
    assert record.name == "env"
    shown = {line.name: line.value for line in load().describe()}
    assert shown["tokens"] == "********"


def test_master_keys_of_before(monkeypatch):
    monkeypatch.setenv("CORTEX_ENCRYPTION__OLDER_KEYS", '["env:PLACE", "plain"]')
    older = load_with_secrets().settings.encryption.older_keys
    assert [text(key) for key in older] == [CANARY, "plain"]
    shown = {line.name: line.value for line in load().describe()}
    assert shown["encryption.older_keys"] == "env:PLACE, ********"


def test_what_was_fetched_is_never_taken_for_a_reference(monkeypatch):
    monkeypatch.setenv("PLACE", "env:ANOTHER_PLACE")
    monkeypatch.setenv("CORTEX_SIGNING_KEY", "env:PLACE")
    once = load_with_secrets().settings
    assert fetch_secrets(once).signing_key_bytes() == b"env:ANOTHER_PLACE"
    assert "ANOTHER" not in repr(load_with_secrets().describe())


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("env:NOWHERE", "no such variable"),
        ("file:/nowhere/at/all", "no such file"),
        ("dir:name", "no source for dir"),
        ("vault:secret/cortex#key", "no source for vault"),
    ],
)
def test_what_cannot_be_had_names_setting_and_place(monkeypatch, reference, why):
    monkeypatch.setenv("CORTEX_SIGNING_KEY", reference)
    with pytest.raises(ConfigurationError, match=f"CORTEX_SIGNING_KEY: .*{why}"):
        load_with_secrets()


async def test_it_works_inside_a_running_loop(monkeypatch):
    monkeypatch.setenv("CORTEX_SIGNING_KEY", "env:PLACE")
    assert load_with_secrets().settings.signing_key_bytes() == CANARY.encode()


def test_vault_over_the_open_network_is_refused(monkeypatch):
    monkeypatch.setenv("CORTEX_VAULT__ADDRESS", "http://vault.example.com")
    monkeypatch.setenv("CORTEX_SIGNING_KEY", "vault:secret/cortex#key")
    with pytest.raises(Exception, match="not an https address"):
        load_with_secrets()
