"""One writer of the application. It owns the ids of one residue class, so its memory of what it committed is the oracle.

A commit whose answer was lost is looked up: each transaction also writes its number into the writer's own row of
`chaos_commits`, under whose lock it asks afterwards. It reads what it is about to change, and opens it with either
key: a value that is another than it last committed, or that opens with neither, is reported at once.
"""

import random
import time

import psycopg2
from psycopg2.extras import execute_values

from chaos_tables import TABLES, TENANTS, Row
from envelope_reference import EnvelopeError, open_envelope, seal_canonical

ROWS_A_TRANSACTION = 10
ROWS_AT_ONCE = 400
ROLLBACK_SHARE = 0.05
# Enough old values at any time for a sweep that is not over at once.
BULK_SHARE = 0.08
# What faults may do to an application. A deadlock or a vanished row is none of them: those are the tool's doing.
EXPECTED_SQLSTATES = ("08", "25006", "53", "55P03", "57", "58")


class Writer:
    def __init__(self, number, writers, url, oracle, seed, rate):
        self.number, self.url, self.rate = number, url, rate
        self.random = random.Random(f"{seed} writer {number}")
        self.oracle = {
            table: {identity: row for identity, row in rows.items() if identity % writers == number}
            for table, rows in oracle.items()
        }
        self.ids = {table: sorted(rows) for table, rows in self.oracle.items()}
        self.next_id = {table: 1_000_000 * (number + 1) + number for table in self.oracle}
        self.writers = writers
        self.serial = 0
        self.commits = 0
        self.connection = None
        self.in_doubt = None
        self.current = self.old = None
        self.old_share = 0.0
        self.findings = []
        self.written = 0

    def set_keys(self, current, old, old_share):
        self.current, self.old, self.old_share = current, old, old_share

    # MARK: transactions

    def step(self):
        """One transaction, or an attempt at one."""
        try:
            if self.connection is None:
                self.connection = psycopg2.connect(self.url, application_name=f"application {self.number}",
                                                   connect_timeout=5)  # fmt: skip
            if self.in_doubt is not None:
                self.settle()
            self.transaction()
        except psycopg2.Error as error:
            self.failed(error)

    def failed(self, error):
        code = error.pgcode
        if code is not None and not code.startswith(EXPECTED_SQLSTATES):
            self.findings.append(f"the application was told {code}: {error}")
        if self.in_doubt is None and self.connection is not None and not self.connection.closed:
            try:
                self.connection.rollback()
                return
            except psycopg2.Error:
                pass
        self.drop_connection()
        time.sleep(0.05)

    def drop_connection(self):
        try:
            if self.connection is not None:
                self.connection.close()
        except psycopg2.Error:
            pass
        self.connection = None

    def settle(self):
        """Whether the transaction whose COMMIT was not answered has been committed. Its row's lock waits for it."""
        number, changes = self.in_doubt
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT number FROM chaos_commits WHERE writer = %s FOR UPDATE", (self.number,))
            found = cursor.fetchone()[0]
        self.connection.rollback()
        if found == number:
            self.apply(changes)
        elif found != self.commits:
            self.findings.append(f"a commit has vanished: number {found}, {self.commits} was confirmed")
        self.in_doubt = None

    def transaction(self):
        table = self.random.choice(TABLES)
        name, ids = table.name, self.ids[table.name]
        if self.random.random() < BULK_SHARE:
            picked, deleted, moved = self.random.sample(ids, min(ROWS_AT_ONCE, len(ids))), [], set()
            keys = [self.old if self.old_share else self.current]
        else:
            picked = self.random.sample(ids, ROWS_A_TRANSACTION)
            deleted, moved = picked[:1], set(picked[1:3])
            keys = None
        changes = {}
        with self.connection.cursor() as cursor:
            self.read(cursor, table, picked)
            written = []
            for identity in picked[len(deleted):]:
                row = self.oracle[name][identity]
                tenant = self.random.randrange(TENANTS) if identity in moved else row.tenant
                changes[identity] = new = self.fresh(tenant, row.second is not None)
                written.append((identity, *self.sealed(new, keys)))
            if deleted:
                self.expect(cursor, table, "deleted", f"DELETE FROM {name} WHERE id = ANY (%s)", (deleted,), len(deleted))
                changes[deleted[0]] = None
            execute_values(
                cursor,
                f"UPDATE {name} t SET tenant_id = n.tenant, note = n.note, secret = n.secret, second = n.second "
                f"FROM (VALUES %s) AS n (id, tenant, note, secret, second) WHERE t.id = n.id",
                written, template=table.template, page_size=10_000,
            )  # fmt: skip
            if cursor.rowcount != len(written):
                raise AssertionError(f"{cursor.rowcount} of {len(written)} own rows of {name} could be updated")
            if deleted:
                self.next_id[name] += self.writers
                identity = self.next_id[name]
                changes[identity] = new = self.fresh(self.random.randrange(TENANTS), self.random.random() < 0.3)
                execute_values(
                    cursor, f"INSERT INTO {name} (id, tenant_id, note, secret, second) VALUES %s",
                    [(identity, *self.sealed(new, keys))], template=table.template,
                )  # fmt: skip
            number = self.commits + 1 + (self.serial << 20)
            cursor.execute("UPDATE chaos_commits SET number = %s WHERE writer = %s", (number, self.number))
        time.sleep(self.random.random() * 0.01)
        if self.random.random() < ROLLBACK_SHARE:
            self.connection.rollback()
            return
        self.in_doubt = number, {(name, identity): row for identity, row in changes.items()}
        self.connection.commit()
        self.apply(self.in_doubt[1])
        self.commits = number
        self.in_doubt = None

    def expect(self, cursor, table, action, sql, parameters, count):
        cursor.execute(sql, parameters)
        if cursor.rowcount != count:
            raise AssertionError(f"{cursor.rowcount} of {count} own rows of {table.name} could be {action}")

    def read(self, cursor, table, picked):
        """What is there is what was committed last, under one of the two keys."""
        cursor.execute(
            f"SELECT id, tenant_id, note, {table.text_of('secret')}, {table.text_of('second')} FROM {table.name} "
            "WHERE id = ANY (%s) ORDER BY id FOR UPDATE",
            (picked,),
        )
        found = cursor.fetchall()
        if len(found) != len(picked):
            raise AssertionError(f"{len(found)} of {len(picked)} own rows of {table.name} are there")
        for identity, tenant, note, secret, second in found[:40]:
            row = self.oracle[table.name][identity]
            try:
                opened = Row(tenant, note, self.opened(secret), None if second is None else self.opened(second))
            except EnvelopeError as error:
                self.findings.append(f"{table.name} {identity} does not open: {error}: {secret} {second}")
                continue
            if opened != row:
                self.findings.append(f"{table.name} {identity} holds {opened}, last committed was {row}")

    def opened(self, envelope) -> bytes:
        return open_envelope(envelope, self.current, self.old)

    def fresh(self, tenant, has_second) -> Row:
        self.serial += 1
        text = f"writer {self.number}, value {self.serial}"
        return Row(tenant, f"note {self.serial}", text.encode(), f"{text}, second".encode() if has_second else None)

    def sealed(self, row, keys):
        def seal(plaintext):
            if plaintext is None:
                return None
            kek = keys[0] if keys else self.old if self.random.random() < self.old_share else self.current
            return seal_canonical(kek, plaintext)

        return row.tenant, row.note, seal(row.secret), seal(row.second)

    def apply(self, changes):
        self.commits = self.in_doubt[0]
        for (name, identity), row in changes.items():
            own = self.oracle[name]
            if row is None:
                del own[identity]
                self.ids[name].remove(identity)
            else:
                if identity not in own:
                    self.ids[name].append(identity)
                own[identity] = row
            self.written += 1

    def halt(self):
        """Nothing is in doubt afterwards."""
        while self.in_doubt is not None:
            try:
                if self.connection is None:
                    self.connection = psycopg2.connect(self.url, connect_timeout=5)
                self.settle()
            except psycopg2.Error as error:
                self.failed(error)
        self.drop_connection()
