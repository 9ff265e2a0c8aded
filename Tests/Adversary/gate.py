"""A gate between the tool and PostgreSQL: it writes down every statement, and can stop the tool at one of them.

While the gate is shut no statement of any connection passes, so a change that is made meanwhile lies exactly between two
statements of the tool. The log also says when the process took its last snapshot: what was committed before that moment,
the process had to see.
"""

import re
import threading
import time

from support.postgres_relay import PostgresRelay, Session

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


class _Session(Session):
    """How far the transaction of one connection is."""

    def __init__(self, relay, client, server):
        super().__init__(relay, client, server)
        self.number = None
        self.takes_snapshot = False
        # What waits for its Execute.
        self.prepared = b""
        self._is_in_session = False
        self._awaits_snapshot = self._had_snapshot = self._had_lock = False

    def read(self, data):
        """Only what is said after the start-up packet is a statement."""
        for message, sql in super().read(data):
            yield message, sql if self._is_in_session else None
            self._is_in_session = self.is_started

    def is_preparation(self, message) -> bool:
        return self._is_in_session and message[:1] in (b"P", b"B", b"D")

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


class Gate(PostgresRelay):
    session = _Session
    # What the server said last before it closed is read by the client.
    ends_with_reset = False

    def __init__(self, host, port, delay=0.0):
        self.delay = delay
        self.trace = []
        self.last_snapshot = self.last_look_at_constraints = 0.0
        self.statements = 0
        self._counts = dict.fromkeys(Moment.KINDS, 0)
        self._shapes = set()
        self._moments = []
        self._gate = threading.Condition()
        self._is_shut = False
        super().__init__(port, host)

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

    def meet(self, message, sql, session) -> bool:
        """Parse, Bind and Describe wait for their Execute: the server takes a transaction's snapshot as early as it parses."""
        if session.is_preparation(message):
            session.prepared += message
            return True
        if sql is not None:
            session.flush()
            self._stop_at(sql, session)
        session.pass_on(session.prepared + message)
        session.prepared = b""
        return True

    def _stop_at(self, sql, session):
        reached = self._count(sql, session)
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
            self.trace.append((now, session.number, sql))
            if session.takes_snapshot:
                self.last_snapshot = now
            if LOOKS_AT_CONSTRAINTS.search(sql):
                self.last_look_at_constraints = now

    def _count(self, sql, session) -> list:
        """Which moments this statement is."""
        with self._mutex:
            if session.number is None:
                session.number = self.statements + 1
            self.statements += 1
            kinds = ["statement"]
            shape = shape_of(sql)
            if shape not in self._shapes:
                self._shapes.add(shape)
                kinds.append("shape")
            kinds += session.note(sql)
            if WRITES.search(sql):
                kinds.append("write")
            reached = []
            for kind in kinds:
                self._counts[kind] += 1
                reached += [m for m in self._moments if m[0].kind == kind and m[0].number == self._counts[kind]]
            self._moments = [m for m in self._moments if m not in reached]
            return [on_reached for _, on_reached in reached]
