"""The measurements run, with few rows. What they measure is no test: it depends on the machine."""

import json
import shutil
import xml.etree.ElementTree
import os
import subprocess

import pytest

from support.rotation_tool import REPOSITORY, binary_path


def bench(*arguments) -> str:
    outcome = subprocess.run(
        [REPOSITORY / "scripts/bench", *map(str, arguments)],
        env=os.environ | {"REENCRYPT_BINARY": str(binary_path())},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def measured(*arguments) -> dict:
    return json.loads(bench(*arguments, "--json"))


def test_lanes_over_a_slow_line():
    figures = measured("lanes", "--lanes", "1,4", "--seconds", 1, "--rows", 20_000)
    one, four = figures["results"]
    # Far from the figure to be shown, yet more than any one lane could do.
    assert four["records_per_second"] > 1.5 * one["records_per_second"] > 0


def test_memory_of_a_window():
    figures = measured("queue", "--rows", 80_000, "--batch-size", 50, "--seconds", 1)
    assert figures["most_outstanding"] >= figures["window_batches"] > 100
    assert 0 < figures["peak_mb"] < 8
    assert figures["worker_peak_rss_mb"] < 100


@pytest.mark.slow
def test_write_path_against_the_floor(tmp_path):
    file = tmp_path / "results.json"
    table = bench("write", "--quick", "--rounds", 1, "--rows", 2_000, "--only", "^(base|workers-2x1)$", "--json", file)
    assert "of the floor" in table and "base case" in table and "2 workers of 1 lane" in table
    for case in json.loads(file.read_text())["cases"]:
        assert len(case["rounds"]) == 1
        for found in case["rounds"]:
            assert found["rows"] == 2_000 and found["rate"] > 0 and found["floor"] > 0
            assert found["cpu_seconds"] > 0 and found["wal_bytes"] > 331 and found["heap_growth"] > 1
        assert case["counted"]["bytes_to_server"] > 100 and case["counted"]["memory_mib"] > 0
    page = tmp_path / "page.md"
    shutil.copy(REPOSITORY / "docs/performance.md", page)
    bench("report", file, "--page", page)
    assert page.read_text().count("| 2 workers of 1 lane |") == 2, "in both tables"
    assert xml.etree.ElementTree.parse(page.with_suffix(".svg")).getroot().tag.endswith("svg")


def test_sizes_of_tables(tmp_path):
    file = tmp_path / "results.json"
    bench("sizes", "--rows", "2000,4000", "--rounds", 1, "--shared-buffers", "128MB", "--json", file)
    found = [size["rounds"][0] for size in json.loads(file.read_text())["sizes"]]
    assert [result["rows"] for result in found] == [2_000, 4_000]
    assert all(result["memory_mib"] > 0 and result["enumeration"] > 0 for result in found)
