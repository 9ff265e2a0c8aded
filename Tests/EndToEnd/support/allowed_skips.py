"""Which tests may be skipped. With `REENCRYPT_TEST_NO_SKIPS` set every other skip fails the session, by name.

`scripts/test` sets it: everything that a test needs is installed there, and a test that was not run shows nothing.
"""

import fnmatch
import os

import pytest

# The test, what it says when it is skipped, and why it may be. Both are patterns.
ALLOWED = [
    ("test_fence_shapes.py::*[[]jsonb*", "jsonb is parsed by the server*", "the value cannot be stored at all"),
    ("test_fence_that_refuses_nothing.py::*", "NOT ENFORCED is PostgreSQL 18's", "--matrix runs it there"),
    ("test_core_dump.py::*", "only root may make another process dumpable", "a developer is not root"),
    ("test_package.py::*", "needs root and debootstrap", "a developer is not root"),
    ("test_package.py::*", "no Debian root can be made here*", "it needs a Debian mirror on the network"),
]  # fmt: skip
# The same for a server from elsewhere (`REENCRYPT_TEST_PG_BIN`, as `scripts/test --matrix` sets it).
ALLOWED_ON_ANOTHER_SERVER = [
    ("*", "*without ICU", "built without it; Debian's has it"),
    ("test_where_nobody_looks.py::*", "this PostgreSQL is built without it", "the same"),
    ("test_pg_repack.py::*", "pg_repack is not built for this PostgreSQL", "Debian builds it for its own server"),
    ("test_pg_partman.py::*", "pg_partman is not built for this PostgreSQL", "the same"),
]  # fmt: skip


def is_allowed(test, said) -> bool:
    allowed = ALLOWED + (ALLOWED_ON_ANOTHER_SERVER if os.environ.get("REENCRYPT_TEST_PG_BIN") else [])
    return any(
        fnmatch.fnmatchcase(test, f"*{pattern}") and fnmatch.fnmatchcase(said, words) for pattern, words, _ in allowed
    )


def pytest_configure(config):
    # A worker of pytest-xdist sends its reports to the process that decides.
    if os.environ.get("REENCRYPT_TEST_NO_SKIPS") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Watch(), "forbidden-skips")


class _Watch:
    """Notes what is skipped, says so at the end, and fails the session."""

    def __init__(self):
        self._found = []

    def pytest_collectreport(self, report):
        self._note(report)

    def pytest_runtest_logreport(self, report):
        self._note(report)

    def _note(self, report):
        # What is expected to fail counts as skipped for pytest, and was run.
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        said = said.removeprefix("Skipped: ")
        if not is_allowed(report.nodeid, said):
            self._found.append(f"{report.nodeid}: {said}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if self._found and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self._found:
            terminalreporter.section("skipped, and not in support/allowed_skips.py", red=True)
            for line in sorted(set(self._found)):
                terminalreporter.write_line(line)
