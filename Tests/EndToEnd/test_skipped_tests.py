"""Which skips `scripts/test` takes: those of the list, and no other."""

import os
import pathlib
import subprocess
import sys

import pytest

from support.allowed_skips import is_allowed

SUITE = """
import pytest

def test_runs():
    pass

@pytest.mark.skip(reason="there is no such server")
def test_is_skipped():
    pass

@pytest.mark.xfail(reason="not yet")
def test_is_expected_to_fail():
    assert False
"""
MODULE = """
import pytest

pytest.skip("nothing for this machine", allow_module_level=True)
"""
HERE = pathlib.Path(__file__).parent


def run_suite(folder, *options, no_skips=True):
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p support.allowed_skips\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "REENCRYPT"))}
    environment["PYTHONPATH"] = str(HERE)
    if no_skips:
        environment["REENCRYPT_TEST_NO_SKIPS"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one process", "two processes"])
@pytest.mark.parametrize(
    "text, test, said",
    [(SUITE, "test_suite.py::test_is_skipped", "there is no such server"),
     (MODULE, "test_suite.py", "nothing for this machine")],
    ids=["a test", "a module"],
)  # fmt: skip
def test_a_skip_fails_the_session_by_name(tmp_path, options, text, test, said):
    (tmp_path / "test_suite.py").write_text(text)
    outcome = run_suite(tmp_path, *options)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert f"{test}: {said}" in outcome.stdout
    assert "test_is_expected_to_fail:" not in outcome.stdout


def test_without_the_variable_a_skip_is_a_skip(tmp_path):
    (tmp_path / "test_suite.py").write_text(SUITE)
    assert run_suite(tmp_path, no_skips=False).returncode == 0


def test_the_list_names_the_test_and_what_it_says(monkeypatch):
    monkeypatch.delenv("REENCRYPT_TEST_PG_BIN", raising=False)
    said = "NOT ENFORCED is PostgreSQL 18's"
    assert is_allowed("Tests/EndToEnd/test_fence_that_refuses_nothing.py::test_x", said)
    assert not is_allowed("Tests/EndToEnd/test_fence_that_refuses_nothing.py::test_x", "there is no such server")
    assert not is_allowed("test_fence.py::test_x", said)
    without = "test_pg_repack.py::test_x", "pg_repack is not built for this PostgreSQL"
    assert not is_allowed(*without)
    monkeypatch.setenv("REENCRYPT_TEST_PG_BIN", "/opt/postgresql/bin")
    assert is_allowed(*without)
