"""A TCP proxy between a worker and PostgreSQL that lets a transaction come to one step and no further.

The step is a statement and a side of it: `before` keeps it, and all that follows, from the server; `after` lets the
server do it and keeps what follows. From then on nothing passes on that connection in either direction, as if the
network or the process stood still, until `release()`.
"""

import dataclasses
import threading

from support.postgres_relay import STATEMENTS, PostgresRelay

# Otherwise the server might keep what it was sent until the end of the pipeline.
_FLUSH = b"H\0\0\0\4"


@dataclasses.dataclass(frozen=True)
class Step:
    statement: str
    after: bool

    def __str__(self):
        return f"{'after' if self.after else 'before'} {self.statement}"


class StepProxy(PostgresRelay):
    """`on_reached` is called once, when the first transaction comes to the step after `is_armed()` has become true."""

    def __init__(self, host, port, step, on_reached, is_armed):
        self.step = step
        self.on_reached = on_reached
        self.is_armed = is_armed
        self.reached = threading.Event()
        self._released = threading.Event()
        super().__init__(port, host)

    def release(self):
        self._released.set()

    def close(self):
        """The connections that there are go on, the one that stood still too."""
        self.release()
        self.stop_listening()

    def meet(self, message, sql, session) -> bool:
        is_step = sql is not None and STATEMENTS[self.step.statement].search(sql) and self.is_armed()
        if is_step and not self.step.after:
            session.flush()
            self._stand_still()
        session.pass_on(message)
        if is_step and self.step.after:
            session.pass_on(_FLUSH)
            session.flush()
            self._stand_still()
        return True

    def _stand_still(self):
        with self._mutex:
            if self.reached.is_set():
                return
            self.reached.set()
        self.on_reached()
        self._released.wait()
