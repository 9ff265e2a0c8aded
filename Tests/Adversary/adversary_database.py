"""The database of a round, and the ways to it."""

import psycopg2

from adversary_tables import new, lie, old, tables
from support.isolated_database import IsolatedDatabase

SETTINGS = {
    "fsync": "off", "wal_level": "logical", "max_prepared_transactions": 20, "max_connections": 100, "autovacuum": "off",
    "shared_buffers": "64MB", "max_wal_size": "1GB", "wal_receiver_status_interval": "1s",
}  # fmt: skip
# Where deeds make and look for tables. The tool has the database's own path.
DEEDS_PATH = "public"
TOOLS_PATH = "front, public"
PLANTED_ID = 45


class World:
    def __init__(self, server, rng, log):
        self.server, self._log = server, log
        self.tables = tables(rng)
        self.database = IsolatedDatabase(server)
        self.others = []
        self.execute(f"ALTER DATABASE {self.database.name} SET search_path = {TOOLS_PATH}")
        self.execute("CREATE SCHEMA front")
        self.execute("CREATE SCHEMA attic")

    def close(self):
        for prepared in self.rows("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            self.execute(f"ROLLBACK PREPARED '{prepared[0]}'")
        for database in [self.database, *self.others]:
            database.drop()

    def log(self, text, parameters=None):
        self._log(text if parameters is None else f"{text}  {str(parameters)[:300]}")

    # MARK: access

    def connect(self, application_name, lock_timeout=60, path=DEEDS_PATH):
        """`path` None: the path that the tool has."""
        options = f"-c lock_timeout={lock_timeout}s -c statement_timeout=90s"
        if path is not None:
            options += f" -c search_path={path}"
        return psycopg2.connect(self.database.url, application_name=application_name, options=options)

    def rows(self, sql, parameters=None) -> list:
        connection = self.connect("adversary")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def execute(self, sql, parameters=None):
        self.rows(sql, parameters)

    def extra_database(self):
        self.others.append(IsolatedDatabase(self.server))
        return self.others[-1]

    # MARK: tables

    def table(self, name):
        return next(table for table in self.tables if table.name == name)

    def any_table(self, rng, not_types=()):
        fitting = [table for table in self.tables if table.column_type not in not_types]
        return rng.choice(fitting or self.tables)

    def fill(self, rng, rows, is_rotated):
        connection = self.connect("adversary")
        try:
            with connection, connection.cursor() as cursor:
                for table in self.tables:
                    for definition in table.definitions():
                        cursor.execute(definition)
                    table.fill(cursor, [self._value(rng, is_rotated) for _ in range(rows)])
        finally:
            connection.close()

    def _value(self, rng, is_rotated):
        kind = rng.random()
        if kind < 0.04:
            return None
        return new() if is_rotated or kind < 0.25 else old(rng, "first")

    def plant(self, rng, is_fenced):
        """One value that the new key does not open, from before everything else."""
        table = self.any_table(rng)
        value = lie("planted") if is_fenced or rng.random() < 0.6 else old(rng, "planted")
        self.log(f"-- planted in {table.name}")
        sql, parameters = table.insertion(table.name, [(0, PLANTED_ID + 10**5, value)])[0]
        self.execute(sql, parameters)
