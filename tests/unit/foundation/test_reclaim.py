"""What is freed on the hot path is there for the next use."""

import subprocess
import sys

RUNS = 50
PAGES_OF_ONE_RUN = 3 * 2**20 // 4096

PROGRAM = f"""
import resource, threading
import numpy as np
from cortex.foundation.reclaim import bound_pools

def run():
    np.ones(3 * 2**20, np.uint8)

def faults():
    for _ in range(5):
        run()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range({RUNS}):
        run()
    print(resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before)

bound_pools()
thread = threading.Thread(target=faults)
thread.start()
thread.join()
"""


def test_arrays_of_a_model_run_are_not_asked_of_the_system_again() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    # Given back after each run, every page would be faulted in again.
    assert int(told.stdout) < RUNS * PAGES_OF_ONE_RUN / 10
