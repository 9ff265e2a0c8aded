"""What every test shares: the private server, a database of its own, the keys, the tool, and a watchdog."""

import itertools
import os
import pathlib
import signal
import tempfile

import pytest

from envelope_reference import KeyEncryptionKey
from private_postgres import PrivatePostgres
from private_server import scratch_parent
from support.isolated_database import IsolatedDatabase
from support.rotation_tool import RotationTool, binary_path

pytest_plugins = ["support.queue_fixtures", "support.allowed_skips"]

WATCHDOG_SECONDS = 120
OTHERS_BETWEEN_SLOW = 6
SERVER_SETTINGS = {
    "fsync": "off",
    "wal_level": "logical",
    "max_wal_size": "512MB",
    "max_prepared_transactions": "5",
    # What the server is set to must not matter to the tool.
    "timezone": "Asia/Kolkata",
    "datestyle": "SQL, DMY",
}


class WatchdogError(Exception):
    """The test took longer than it may."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test hangs: after its time an exception is raised wherever it waits."""
    marker = item.get_closest_marker("watchdog")
    seconds = marker.args[0] if marker else WATCHDOG_SECONDS

    def bark(*_):
        raise WatchdogError(f"not done after {seconds} s")

    previous = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def pytest_addoption(parser):
    parser.addoption(
        "--alone", choices=("only", "not"), help="only the tests marked `alone`, or all others; beside it -m is free"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Slow tests begin early, so that none of them is still running when all others are done, and between others, which
    work while they wait. A module that makes something dear for all of its tests is left to one process."""
    alone = config.getoption("--alone")
    if alone:
        left_out = [item for item in items if (item.get_closest_marker("alone") is None) == (alone == "only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    items[:] = [one for item in slow for one in (item, *itertools.islice(others, OTHERS_BETWEEN_SLOW))]
    items.extend(others)
    for item in items:
        if getattr(item.module, "IN_ONE_PROCESS", False):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


def pytest_sessionstart(session):
    if not session.config.option.collectonly and not os.access(binary_path(), os.X_OK):
        pytest.exit(
            f"{binary_path()} does not exist: run `swift build -c release`, or set REENCRYPT_BINARY", returncode=1
        )


@pytest.fixture(scope="session")
def server_directory():
    """With a short name, because the socket's path must be short, and open, because the server's user must get in."""
    with tempfile.TemporaryDirectory(prefix="reencrypt-e2e-", dir=scratch_parent()) as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


@pytest.fixture(scope="session")
def server(server_directory):
    # Tests open tens of thousands of connections. The integration tests and the fault run log in with SCRAM.
    with PrivatePostgres(server_directory / "pg", SERVER_SETTINGS, host_authentication="md5") as server:
        yield server


@pytest.fixture(params=["default order", "physical order"])
def either_order(request, monkeypatch):
    """The test runs twice: by keys, as small tables are taken, and by places."""
    if request.param == "physical order":
        monkeypatch.setenv("REENCRYPT_TEST_ORDER", "physical")


@pytest.fixture(scope="session")
def kek_v1():
    return KeyEncryptionKey.generate("kek-v1")


@pytest.fixture(scope="session")
def kek_v2():
    return KeyEncryptionKey.generate("kek-v2")


@pytest.fixture
def database(server):
    database = IsolatedDatabase(server)
    yield database
    database.drop()


@pytest.fixture
def make_tool(tmp_path, database, kek_v1, kek_v2):
    """Makes tools with a working directory of their own; all their processes end before the database goes."""
    tools = []

    def make(database_url, primary=kek_v2, previous=(kek_v1,)) -> RotationTool:
        directory = tmp_path / f"tool-{len(tools) + 1}"
        directory.mkdir()
        tools.append(RotationTool(directory, database_url, primary, previous))
        return tools[-1]

    yield make
    for tool in tools:
        tool.kill_all()


@pytest.fixture
def tool(make_tool, database):
    """From kek-v1 to kek-v2 on this test's database."""
    return make_tool(database.url)
