"""PgBouncer in transaction mode, for as long as somebody shall be refused."""

import contextlib
import os

from postgres_pair import DATABASE
from private_pgbouncer import EXECUTABLE, PrivatePgBouncer


class Pooler:
    def __init__(self, folder):
        self.folder = folder / "pooler"

    @classmethod
    def is_installed(cls) -> bool:
        return os.path.exists(EXECUTABLE)

    @contextlib.contextmanager
    def running(self, pg):
        settings = {"ignore_startup_parameters": "extra_float_digits,options"}
        with PrivatePgBouncer(self.folder, pg.primary, "transaction", 10, settings) as pooler:
            yield pooler.url(DATABASE)
