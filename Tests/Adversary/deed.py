"""A deed: SQL that one session does to the database while the tool works, and when it took effect.

A deed *takes effect* when its statements have been done and its locks are held, though it may be uncommitted. Judging a
verdict needs both instants: see `claims.py`.
"""

import dataclasses
import random
import threading
import time

import psycopg2

LOCK_TIMEOUT_SECONDS = 25
# How long the gate stays shut for a deed that has to wait for the tool's own locks.
PATIENCE_SECONDS = 0.5

# What a deed can make false. names: what the catalog's names lead to; rewriting: where rows are stored; rows: values;
# fence: constraints; static: it must be there before the tool starts.
EFFECTS = ("names", "rewriting", "rows", "fence", "static")


@dataclasses.dataclass
class Script:
    """`before` is committed before the tool starts; `steps` are the deed. Statements: text, or (text, parameters)."""

    steps: list
    before: list = dataclasses.field(default_factory=list)
    # Statements that cannot run inside a transaction block.
    outside_block: bool = False
    # Called after the tool has ended and everything is committed, before the oracle looks.
    afterwards: object = None
    # Called before the database is dropped.
    cleanup: object = None
    # The session stays open until the oracle has looked (temporary tables).
    stays: bool = False
    # For `verify`: the place outside the catalog where an old value lies. A verdict that exits 0 has overlooked it.
    hidden: str = ""
    # Settings of the command: previous keys, more arguments, entries of the catalog.
    options: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    effect: str
    make: object
    commands: tuple
    weight: int


KINDS = {}
ALL = ("run", "dry run", "coordinator", "verify", "fenced verify", "fence add")
ROTATIONS = ("run", "coordinator", "dry run")
VERIFICATIONS = ("verify", "fenced verify")


def deed(name, effect, commands=ALL, weight=2):
    """Registers `make(world, rng) -> Script`."""

    def register(make):
        assert effect in EFFECTS and name not in KINDS
        KINDS[name] = Kind(name, effect, make, tuple(commands), weight)
        return make

    return register


def fitting(command, only=None) -> list:
    return [kind for kind in KINDS.values() if command in kind.commands and (not only or only in kind.name)]


def chosen(rng: random.Random, command, only=None) -> Kind:
    kinds = fitting(command, only)
    return rng.choices(kinds, [kind.weight for kind in kinds])[0] if kinds else None


class Deed(threading.Thread):
    """One script on a connection of its own."""

    _numbers = iter(range(1, 1_000_000))

    def __init__(self, kind, script, world, prepares=False):
        super().__init__(daemon=True)
        self.kind, self.script, self.world = kind, script, world
        self.number = next(self._numbers)
        self.prepared_name = f"adversary {self.number}" if prepares else None
        self.effective_at = self.committed_at = self.began_at = None
        self.error = None
        self.pid = None
        self.has_effect = threading.Event()
        self.may_commit = threading.Event()
        self._connection = None

    def run(self):
        try:
            self._connection = connection = self.world.connect("adversary deed", LOCK_TIMEOUT_SECONDS)
            connection.autocommit = self.script.outside_block
            self.pid = connection.get_backend_pid()
            with connection.cursor() as cursor:
                self.began_at = time.time()
                for statement in self.script.steps:
                    self._execute(cursor, statement)
                if self.prepared_name:
                    self.world.log(f"PREPARE TRANSACTION '{self.prepared_name}'")
                    cursor.execute(f"PREPARE TRANSACTION '{self.prepared_name}'")
                    connection.close()
                    self.pid = 0
                self.effective_at = time.time()
                self.has_effect.set()
                self.may_commit.wait()
                self._commit(cursor)
                self.committed_at = time.time()
        except psycopg2.Error as error:
            self.error = f"{error.pgcode} {(str(error).splitlines() or [repr(error)])[0]}"
            self.world.log(f"-- deed {self.kind.name}: {self.error}")
            self._connection_close()
        finally:
            self.has_effect.set()
            if not self.script.stays:
                self._connection_close()

    def _execute(self, cursor, statement):
        sql, parameters = statement if isinstance(statement, tuple) else (statement, None)
        self.world.log(sql if len(sql) < 400 else sql[:400] + " …", parameters)
        cursor.execute(sql, parameters)

    def _commit(self, cursor):
        if self.prepared_name:
            self.world.log(f"COMMIT PREPARED '{self.prepared_name}'")
            self.world.execute(f"COMMIT PREPARED '{self.prepared_name}'")
        elif not self.script.outside_block:
            self.world.log("COMMIT")
            self._connection.commit()

    def _connection_close(self):
        if self._connection is not None:
            self._connection.close()

    def close(self):
        """Ends it, committed or not."""
        self.may_commit.set()
        self.join(LOCK_TIMEOUT_SECONDS + 5)
        self._connection_close()

    def was_effective_before(self, instant) -> bool:
        return self.error is None and self.effective_at is not None and self.effective_at <= instant

    def was_committed_before(self, instant) -> bool:
        return self.error is None and self.committed_at is not None and self.committed_at <= instant
