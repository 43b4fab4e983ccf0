"""Every setting is read by something, and the core stays light."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.settings import OpenAI, Settings
from cortex.settings.doors import Encryption, IssuerSettings, Tls, VaultSettings
from cortex.settings.energy import EnergySettings
from cortex.settings.inference import InferenceSettings
from cortex.settings.language import Llm

ROOT = Path(__file__).resolve().parents[2]
SETTINGS_MAX = 85
KNOBS = [
    *Settings.model_fields,
    *(f"openai.{n}" for n in OpenAI.model_fields),
    *(f"llm.{n}" for n in Llm.model_fields),
    *(f"inference.{n}" for n in InferenceSettings.model_fields),
    *(f"tls.{n}" for n in Tls.model_fields),
    *(f"energy.{n}" for n in EnergySettings.model_fields),
    *(f"vault.{n}" for n in VaultSettings.model_fields),
    *(f"encryption.{n}" for n in Encryption.model_fields),
    *(f"issuers.{n}" for n in IssuerSettings.model_fields),
]

READERS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [
        *ROOT.glob("src/cortex/bootstrap*.py"),
        *ROOT.glob("src/cortex/bootstrap/*.py"),
        *ROOT.glob("src/cortex/cli/*.py"),
        ROOT / "src/cortex/settings/secrets.py",
    ]
)


@pytest.mark.parametrize("knob", KNOBS)
def test_a_setting_that_nothing_reads_is_not_there(knob: str) -> None:
    name = knob.rpartition(".")[2]
    derived = {
        "home": "home_folder", "db_path": "database_file", "tokens": "token_records",
        "signing_key": "signing_key_bytes", "signing_key_file": "signing_key_bytes",
    }  # fmt: skip
    read_as = derived.get(name, name)
    assert re.search(rf"\.{read_as}\b", READERS), f"nothing reads {knob}"


def test_there_are_few_settings() -> None:
    assert len(KNOBS) <= SETTINGS_MAX


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, cortex, cortex_client; "
        "print([m for m in ('numpy','onnxruntime','faiss','fastapi','pydantic',"
        "'tokenizers','sqlite3','prometheus_client') if m in sys.modules])"
    )
    # Coverage imports modules of its own into what it measures.
    bare = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    out = subprocess.run(
        [sys.executable, "-c", code],
        env=bare, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert out.stdout.strip() == "[]"


def test_the_client_alone_needs_no_service_package() -> None:
    code = (
        "import sys; sys.modules['cortex'] = None; import cortex_client, "
        "cortex_client.mem0; print('ok')"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "ok"
