"""An application that keeps writing while the tool runs, and that knows what it wrote last.

Each writer is a process that owns the ids of one residue class, so its own memory of committed plaintexts is the
oracle: no other writer, and no clock, decides what should be there. Transactions stay open for a moment after
their statements, as real ones do: that is the window in which a tool that read without a lock would overwrite.
"""

import dataclasses
import multiprocessing
import random
import time
import traceback

import psycopg2
from psycopg2 import Binary
from psycopg2.extras import execute_values

from envelope_reference import seal_canonical

ROWS_A_TRANSACTION = 20
LONGEST_PAUSE_SECONDS = 0.003
ROLLBACK_SHARE = 0.05
TENANTS = 6

_context = multiprocessing.get_context("fork")


@dataclasses.dataclass(frozen=True)
class WrittenTable:
    """What writers write to: `table (id bigint, tenant_id int, note text, secret <type>)`."""

    column_type: str
    partitioned: bool

    @property
    def definition(self) -> str:
        columns = f"(id bigint NOT NULL, tenant_id int NOT NULL, note text, secret {self.column_type} NOT NULL, "
        if not self.partitioned:
            return f"CREATE TABLE secrets {columns} PRIMARY KEY (id))"
        return f"CREATE TABLE secrets {columns} PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (tenant_id);" + "".join(
            f"CREATE TABLE secrets_{n} PARTITION OF secrets FOR VALUES IN ({n});" for n in range(TENANTS)
        )

    @property
    def catalog_entry(self) -> dict:
        key = ["tenant_id", "id"] if self.partitioned else "id"
        return {"name": "secrets", "id_column": key, "encrypted_columns": ["secret"]}

    def parameter(self, envelope):
        return Binary(envelope.encode()) if self.column_type == "bytea" else envelope


def fill(database, table, kek, ids) -> dict:
    """The table's first rows, all under `kek`; returns id → (plaintext, note, tenant)."""
    database.execute(table.definition)
    rows = {identity: (b"initial %d" % identity, "initial", identity % TENANTS) for identity in ids}
    with database.transaction() as cursor:
        execute_values(
            cursor,
            "INSERT INTO secrets (id, tenant_id, note, secret) VALUES %s",
            [(identity, tenant, note, table.parameter(seal_canonical(kek, plaintext)))
             for identity, (plaintext, note, tenant) in rows.items()],
            template=f"(%s, %s, %s, %s::{table.column_type})",
            page_size=1000,
        )  # fmt: skip
    return rows


class _Writer:
    """The body of one process."""

    def __init__(self, number, table, database_url, current, old, old_share, rows):
        self.random = random.Random(number)
        self.number, self.table, self.current, self.old, self.old_share = number, table, current, old, old_share
        self.rows = rows
        self.next_id = 10_000_000 * (number + 1)
        self.serial = 0
        self.connection = psycopg2.connect(database_url, application_name=f"writer {number}")

    def fresh(self):
        """A new plaintext and its envelope, a share of them under the old key."""
        self.serial += 1
        plaintext = b"writer %d, value %d" % (self.number, self.serial)
        kek = self.old if self.random.random() < self.old_share else self.current
        return plaintext, self.table.parameter(seal_canonical(kek, plaintext))

    def transaction(self) -> int:
        """One transaction; returns how many row writes were committed."""
        rows, changed = self.rows, {}
        picked = self.random.sample(self.ids, ROWS_A_TRANSACTION)
        deleted, annotated, moved, updated = picked[:1], picked[1:3], picked[3:5], picked[5:]
        with self.connection.cursor() as cursor:
            writes = []
            for identity in updated + moved:
                plaintext, envelope = self.fresh()
                tenant = self.random.randrange(TENANTS) if identity in moved else rows[identity][2]
                writes.append((identity, rows[identity][2], tenant, envelope))
                changed[identity] = (plaintext, rows[identity][1], tenant)
            execute_values(
                cursor,
                "UPDATE secrets SET secret = new.secret, tenant_id = new.tenant "
                "FROM (VALUES %s) AS new (id, old_tenant, tenant, secret) "
                "WHERE secrets.id = new.id AND secrets.tenant_id = new.old_tenant",
                writes,
                template=f"(%s, %s, %s, %s::{self.table.column_type})",
            )
            self._expect(cursor, len(writes), "updated")
            note = f"note {self.serial}"
            cursor.execute("UPDATE secrets SET note = %s WHERE id = ANY (%s)", (note, annotated))
            self._expect(cursor, len(annotated), "annotated")
            for identity in annotated:
                changed[identity] = (rows[identity][0], note, rows[identity][2])
            cursor.execute("DELETE FROM secrets WHERE id = ANY (%s)", (deleted,))
            self._expect(cursor, len(deleted), "deleted")
            self.next_id += 1
            plaintext, envelope = self.fresh()
            tenant = self.random.randrange(TENANTS)
            cursor.execute("INSERT INTO secrets (id, tenant_id, note, secret) VALUES (%s, %s, %s, %s)",
                           (self.next_id, tenant, "new", envelope))  # fmt: skip
            changed[self.next_id] = (plaintext, "new", tenant)
        time.sleep(self.random.random() * LONGEST_PAUSE_SECONDS)
        if self.random.random() < ROLLBACK_SHARE:
            self.connection.rollback()
            return 0
        self.connection.commit()
        rows.update(changed)
        for identity in deleted:
            del rows[identity]
            self.ids[self.ids.index(identity)] = self.next_id
        return len(changed) + len(deleted)

    def _expect(self, cursor, count, action):
        if cursor.rowcount != count:
            raise AssertionError(f"{cursor.rowcount} of {count} own rows could be {action}: rows have vanished")

    def run(self, stop):
        self.ids = sorted(self.rows)
        while not stop.is_set():
            yield self.transaction()
        self.connection.close()


def _process(number, arguments, stop, written, observed, results):
    try:
        writer = _Writer(number, *arguments)
        for count in writer.run(stop):
            # Only writes while a run was active count as concurrent.
            if observed.value:
                written.value += count
        results.put((number, writer.rows, None))
    except BaseException:
        results.put((number, {}, traceback.format_exc()))


class ApplicationWriters:
    """Several writers; `rows` afterwards is what the table must hold."""

    def __init__(self, database_url, table, rows, current, old, old_share, processes=2):
        self._stop = _context.Event()
        self._observed = _context.Value("b", 0)
        self._results = _context.Queue()
        self._written = [_context.Value("q", 0) for _ in range(processes)]
        self._processes = [
            _context.Process(
                target=_process,
                daemon=True,
                args=(
                    number,
                    (table, database_url, current, old, old_share,
                     {identity: row for identity, row in rows.items() if identity % processes == number}),
                    self._stop, self._written[number], self._observed, self._results,
                ),
            )
            for number in range(processes)
        ]  # fmt: skip

    def start(self):
        for process in self._processes:
            process.start()
        return self

    @property
    def concurrent_writes(self) -> int:
        return sum(count.value for count in self._written)

    @property
    def all_alive(self) -> bool:
        return all(process.is_alive() for process in self._processes)

    def observed(self, active: bool):
        """Tells the writers whether a run is active, so that they count what they write beside it."""
        self._observed.value = active

    def stop(self) -> dict:
        """Ends the writers and returns id → (plaintext, note, tenant) of everything they committed."""
        self._stop.set()
        rows = {}
        for _ in self._processes:
            number, own, error = self._results.get(timeout=60)
            assert error is None, f"writer {number} failed:\n{error}"
            rows.update(own)
        for process in self._processes:
            process.join(30)
        return rows

    def kill(self):
        for process in self._processes:
            if process.is_alive():
                process.kill()
