"""The description at /openapi.json holds for a real server, whatever is sent to it."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = os.environ.get("CORTEX_HEAVY") == "1"

CONFIGURATION = """
# Some rules join two fields (end is not before start): JSON Schema cannot say them.
[checks.positive_data_acceptance]
enabled = false

# The router takes DELETE of /memory/{memory_id} at /memory/search too, and says so.
[checks.allow_header_conformance]
enabled = false

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413",
                     "415", "422", "429"]

# An import answers 200 and tells line by line what it refused.
[[operations]]
include-path = "/memory/import"
checks.negative_data_rejection.enabled = false

# A stream never ends: tests of its own read it.
[[operations]]
include-path = "/events/stream"
enabled = false

# What it asks for is really started: tests of its own do that, and end it.
[[operations]]
include-path = "/inference/workers"
enabled = false

# An If-None-Match that cannot be read is passed over, as RFC 9110 wants.
[[operations]]
include-path-regex = "^(/v1)?/embed"
checks.negative_data_rejection.enabled = false
"""

REQUESTS_PER_MINUTE = "1000000"
SECONDS_MAX = 900 if HEAVY else 400


def fuzzed(url, folder, *flags):
    (folder / "st.toml").write_text(CONFIGURATION)
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "--no-color", "--config-file", "st.toml", "run", f"{url}/openapi.json",
            "--no-shrink", "--continue-on-failure",
            "--max-failures", "30", "--warnings", "off", *flags,
        ],
        cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip


def test_no_500_and_only_documented_answers(serve, tmp_path):
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / "note.txt").write_text("a note")
    server = serve(
        CORTEX_FAST_TEST="1",
        CORTEX_RATE_LIMIT_PER_MINUTE=REQUESTS_PER_MINUTE,
        CORTEX_FS_ROOTS=f'{{"notes": "{roots}"}}',
    )
    depth = (
        ("--phases", "coverage,fuzzing,stateful", "-n", "200")
        if HEAVY
        # tests/contract makes requests up, too, and needs no sockets for it.
        else ("--phases", "coverage", "--workers", "1")
    )
    done = fuzzed(server.url, tmp_path, *depth)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert server.client.get("/healthz").json()["status"] == "ok"
    logged = server.log.read_text()
    assert "request failed" not in logged
    assert "loop failed" not in logged
