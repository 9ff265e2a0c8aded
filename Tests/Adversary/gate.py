"""A gate between the tool and PostgreSQL: it writes down every statement, and can stop the tool at one of them.

While the gate is shut no statement of any connection passes, so a change that is made meanwhile lies exactly between two
statements of the tool. The log also says when the process took its last snapshot: what was committed before that moment,
the process had to see.
"""

import re
import select
import threading
import time

from support.statement_proxy import StatementProxy, _Frontend

_BLOCK = 1 << 16
LONGEST_HOLD_SECONDS = 4.0

BEGINS_SNAPSHOT = re.compile(r"^\s*(BEGIN|START\s+TRANSACTION)\b.*REPEATABLE\s+READ", re.I | re.S)
ADOPTS_SNAPSHOT = re.compile(r"^\s*SET\s+TRANSACTION\s+SNAPSHOT", re.I)
# These need no snapshot, so a transaction that begins with them still has none.
NEEDS_NO_SNAPSHOT = re.compile(r"^\s*(LOCK|SET|SHOW|SAVEPOINT|RELEASE|COMMIT|END|ROLLBACK|BEGIN|START)\b", re.I)
LOOKS_AT_CONSTRAINTS = re.compile(r"\bpg_constraint\b|\bVALIDATE\s+CONSTRAINT\b", re.I)
WRITES = re.compile(r"^\s*(WITH\b.*\b)?UPDATE\b", re.I | re.S)
# Reader's locks: by name, or by the statement that the versions before used for it.
LOCKS = re.compile(r"^\s*LOCK\b|^\s*SELECT\b.*\bLIMIT\s+0\b", re.I | re.S)


def shape_of(sql) -> str:
    """What statements of one kind have in common."""
    return re.sub(r"\d+", "#", re.sub(r"'[^']*'", "?", " ".join(sql.split())))[:90]


class Moment:
    """Where the gate is to be shut: before the n-th statement of a kind, counted over all connections.

    `kind`: shape (the n-th statement that is unlike all before it), statement, snapshot (the statement that takes it),
    after snapshot, lock, after lock, write.
    """

    KINDS = ("shape", "statement", "snapshot", "after snapshot", "lock", "after lock", "write")

    def __init__(self, kind, number):
        self.kind, self.number = kind, number

    def __str__(self):
        return f"{self.kind} {self.number}"


class Gate(StatementProxy):
    def __init__(self, host, port, delay=0.0):
        super().__init__(host, port)
        self.delay = delay
        self.trace = []
        self.last_snapshot = self.last_look_at_constraints = 0.0
        self.statements = 0
        self._counts = dict.fromkeys(Moment.KINDS, 0)
        self._shapes = set()
        self._moments = []
        self._gate = threading.Condition()
        self._is_shut = False

    @property
    def is_shut(self) -> bool:
        return self._is_shut

    @property
    def counts(self) -> dict:
        """Statements by kind, so far."""
        return dict(self._counts)

    def shut_at(self, moment, on_reached):
        """`on_reached` is called in a thread while the gate is shut; the gate opens when it returns."""
        self._moments.append((moment, on_reached))

    def _serve(self, client, server):
        connection = _Conversation(self)
        try:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(_BLOCK)
                    if not data:
                        return
                    if ready is server:
                        client.sendall(data)
                        continue
                    for message, sql in connection.messages(data):
                        if sql is not None:
                            self._meet(sql, connection)
                        if message:
                            server.sendall(message)
        except (OSError, ValueError):
            return
        finally:
            with self._mutex:
                self._sockets -= {client, server}
            for one in (client, server):
                one.close()

    def _meet(self, sql, connection):
        reached = self._count(sql, connection)
        if reached and not self._closed:
            with self._gate:
                self._is_shut = True
            for on_reached in reached:
                on_reached()
            with self._gate:
                self._is_shut = False
                self._gate.notify_all()
        else:
            with self._gate:
                self._gate.wait_for(lambda: not self._is_shut or self._closed, LONGEST_HOLD_SECONDS)
        if self.delay:
            time.sleep(self.delay)
        now = time.time()
        with self._mutex:
            self.trace.append((now, connection.number, sql))
            if connection.takes_snapshot:
                self.last_snapshot = now
            if LOOKS_AT_CONSTRAINTS.search(sql):
                self.last_look_at_constraints = now

    def _count(self, sql, connection) -> list:
        """Which moments this statement is."""
        with self._mutex:
            if connection.number is None:
                connection.number = self.statements + 1
            self.statements += 1
            kinds = ["statement"]
            shape = shape_of(sql)
            if shape not in self._shapes:
                self._shapes.add(shape)
                kinds.append("shape")
            kinds += connection.note(sql)
            if WRITES.search(sql):
                kinds.append("write")
            reached = []
            for kind in kinds:
                self._counts[kind] += 1
                reached += [m for m in self._moments if m[0].kind == kind and m[0].number == self._counts[kind]]
            self._moments = [m for m in self._moments if m not in reached]
            return [on_reached for _, on_reached in reached]


class _Conversation(_Frontend):
    """What one connection has said, and how far its transaction is."""

    def __init__(self, proxy):
        super().__init__(proxy)
        self.number = None
        self.takes_snapshot = False
        self._kept = b""
        self._is_in_session = False
        self._awaits_snapshot = self._had_snapshot = self._had_lock = False

    def messages(self, data):
        """What may pass, and the statement that it executes. Parse, Bind and Describe wait for their Execute: the server takes a
        transaction's snapshot as early as it parses."""
        self._buffer += data
        while (message := self._next_message()) is not None:
            sql = self._executed_sql(message) if self._is_in_session else None
            is_preparation = self._is_in_session and message[:1] in (b"P", b"B", b"D")
            self._is_in_session = self._started
            self._kept += message
            if not is_preparation:
                kept, self._kept = self._kept, b""
                yield kept, sql

    def note(self, sql) -> list:
        kinds = []
        self.takes_snapshot = False
        if self._had_snapshot:
            kinds.append("after snapshot")
        if self._had_lock:
            kinds.append("after lock")
        self._had_snapshot = False
        self._had_lock = bool(LOCKS.search(sql))
        if self._had_lock:
            kinds.append("lock")
        if BEGINS_SNAPSHOT.search(sql):
            self._awaits_snapshot = True
        elif ADOPTS_SNAPSHOT.search(sql):
            self._awaits_snapshot = False
        elif self._awaits_snapshot and not NEEDS_NO_SNAPSHOT.search(sql):
            self._awaits_snapshot = False
            self.takes_snapshot = self._had_snapshot = True
            kinds.append("snapshot")
        return kinds
