"""The simulation of many workers over one Redis, for a few seconds; and the model that it checks."""

import json
import os
import subprocess
import sys

import pytest

from support.rotation_tool import REPOSITORY

BENCHMARKS = REPOSITORY / "Benchmarks"


def measured(script, *arguments) -> dict:
    outcome = subprocess.run(
        [sys.executable, BENCHMARKS / script, "--json", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts/support")},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return json.loads(outcome.stdout)


def test_many_workers_keep_the_equations_and_the_window():
    """Vanished and frozen workers, lost answers: every range is counted once. How fast is no test."""
    figures = measured("queue_scale.py", "--workers", 200, "--seconds", 2, "--work-ms", 20, "--lease-ms", 1500)
    for name in ("paced", "saturated"):
        one = figures[name]
        assert one["faults_found"] == []
        assert one["looks"] > 10
        assert one["expired_leases"] > 0, "no lease ran out"
        assert one["counts"]["lost answers"] > 0, "no answer was lost"
        assert 0 < one["memory_mb"] < 5
    assert set(figures["script_us"]) >= {"claim", "acknowledge", "heartbeat"}


@pytest.mark.parametrize(
    ("arguments", "bound"),
    [
        (["--wal-mb-s", 50], "WAL"),
        (["--workers", 12, "--lanes", 1, "--wal-mb-s", 5000, "--cores", 64], "lanes"),
        (["--batch-size", 20, "--wal-mb-s", 5000], "Redis"),
        (["--cores", 2, "--wal-mb-s", 5000], "server's cores"),
        (["--workers", 2000, "--cores", 500, "--wal-mb-s", 50000, "--redis", 2], "enumeration"),
    ],
)
def test_the_model_names_the_bound(arguments, bound):
    figures = measured("scale_model.py", *arguments)
    assert figures["bound"] == bound
    assert figures["rows_per_second"] == figures["bounds_rows_per_second"][bound]


def test_the_model_knows_how_many_values_one_key_may_wrap():
    assert measured("scale_model.py", "--rows", "1e10", "--databases", 12)["kek_of_each_database_is_enough"]
    alone = measured("scale_model.py", "--rows", "1e10", "--databases", 1)
    assert not alone["kek_of_each_database_is_enough"]
    assert alone["keks_in_all"] == 5
