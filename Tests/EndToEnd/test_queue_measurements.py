"""The measurements run, with few rows. What they measure is no test: it depends on the machine."""

import json
import os
import subprocess
import sys

from rotation_tool import REPOSITORY, binary_path


def measured(script, *arguments) -> dict:
    outcome = subprocess.run(
        [sys.executable, REPOSITORY / "scripts/support" / script, "--json", *map(str, arguments)],
        env=os.environ | {"REENCRYPT_BINARY": str(binary_path())},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return json.loads(outcome.stdout)


def test_lanes_over_a_slow_line():
    figures = measured("measure_lanes.py", "--lanes", "1,4", "--seconds", 1, "--rows", 20_000)
    one, four = figures["results"]
    # Far from the figure to be shown, yet more than any one lane could do.
    assert four["records_per_second"] > 1.5 * one["records_per_second"] > 0


def test_memory_of_a_window():
    figures = measured("measure_queue_memory.py", "--rows", 80_000, "--batch-size", 50, "--seconds", 1)
    assert figures["most_outstanding"] >= figures["window_batches"] > 100
    assert 0 < figures["peak_mb"] < 8
    assert figures["worker_peak_rss_mb"] < 100
