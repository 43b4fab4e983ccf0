"""Verifiers that Cortex did not write judge a log about the sizes of full tiles.

``make oracles-ledger`` lets them judge 1 360 sizes.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECK = Path(__file__).parents[3] / "tools" / "oracles" / "check_ledger.py"
GO_PATH = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb")

if find_spec("aics_tlog") or (shutil.which("go") and GO_PATH.is_dir()):

    def test_they_accept_what_is_good_and_refuse_a_flipped_bit() -> None:
        done = subprocess.run(
            [sys.executable, str(CHECK), "--sample"],
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert "spoilt copies accepted: none" in done.stdout
