"""The container files name things that exist."""

import re
from pathlib import Path

import yaml

from cortex.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
NOT_SETTINGS = {"CORTEX_SECRETS_DIR", "CORTEX_CONFIG"}


def test_what_the_image_copies_is_there():
    copied = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    sources = [name for line in copied for name in line.split()[:-1]]
    assert sources
    assert [name for name in sources if not (ROOT / name).exists()] == []


def test_every_variable_is_a_setting():
    named = set(re.findall(r"CORTEX_[A-Z_]+", DOCKERFILE))
    named |= set(COMPOSE["services"]["cortex"]["environment"])
    known = {f"CORTEX_{name.upper()}" for name in Settings.model_fields}
    assert named - known - NOT_SETTINGS == set()


def test_secrets_become_settings():
    known = {f"cortex_{name}" for name in Settings.model_fields}
    assert set(COMPOSE["secrets"]) <= known
    assert set(COMPOSE["services"]["cortex"]["secrets"]) == set(COMPOSE["secrets"])


def test_the_container_is_hardened_and_drains():
    service = COMPOSE["services"]["cortex"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    drain = Settings.model_fields["drain_seconds"].default
    assert int(service["stop_grace_period"].removesuffix("s")) > drain
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.MULTILINE)
