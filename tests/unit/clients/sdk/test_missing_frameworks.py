"""An adapter without its framework says in one sentence what to install."""

import subprocess
import sys

import pytest

ADAPTERS = [
    ("langgraph", "langgraph", "langgraph"),
    ("langchain", "langchain_core", "langchain"),
    ("llamaindex", "llama_index", "llama-index"),
    ("openai_agents", "agents", "openai-agents"),
    ("anthropic", "anthropic", "anthropic"),
    ("google_adk", "google.adk", "google-adk"),
]


@pytest.mark.parametrize(("module", "package", "extra"), ADAPTERS)
def test_the_sentence_names_the_extra(module, package, extra):
    code = f"""
import sys
sys.modules[{package!r}] = None
try:
    import cortex_client.integrations.{module}
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert f'pip install "cortex-context[{extra}]"' in done.stdout
    assert done.stdout.count("\n") == 1


def test_the_client_itself_imports_none_of_them():
    code = """
import sys
import cortex_client.client, cortex_client.sync, cortex_client.mem0
import cortex_client.integrations.link, cortex_client.integrations.transcript
found = {name.split(".")[0] for name in sys.modules}
print(found & {"langgraph", "langchain_core", "llama_index", "agents", "anthropic",
               "google", "openai"})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
