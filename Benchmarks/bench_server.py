"""The private PostgreSQL of a measurement: fixed settings, and databases that start alike each time.

A table is loaded once, into a template database, and settled there (hint bits, statistics). Every measure then gets a
copy of the template's files, byte for byte, read into the server's memory, right after a checkpoint.
"""

import os
import pathlib
import pwd
import subprocess
import time

import psycopg2

from private_postgres import SUPERUSER, PrivatePostgres

# All that is not PostgreSQL's default; printed with every result.
SETTINGS = {
    "shared_buffers": "1GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "off",
    "wal_level": "replica",
    # No checkpoint but those between the measures.
    "checkpoint_timeout": "1h",
    "min_wal_size": "2GB",
    "max_wal_size": "16GB",
    # It would come at its own time, into one measure and not into the next.
    "autovacuum": "off",
    # Tells when each row was committed, whoever wrote it.
    "track_commit_timestamp": "on",
}
SUBJECT = "subject"
# Tells the harness' own statements from those it measures.
MARK = "/* scripts/bench */"


class BenchServer:
    """Plain and TLS connections on one port: the URL says which."""

    def __init__(self, directory, settings=None):
        self.directory = pathlib.Path(directory)
        self.settings = SETTINGS | dict(settings or {})
        self.directory.mkdir(parents=True, exist_ok=True)
        self.postgres = PrivatePostgres(self.directory / "pg", self.settings | self._certificate())
        self.extensions = set()

    def __enter__(self):
        self.postgres.start()
        self.extensions = {name for (name,) in self.rows("SELECT name FROM pg_available_extensions")}
        if "pg_stat_statements" in self.extensions:
            # Loaded always, counting only where a measure is not timed.
            self.run("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            self.postgres.stop()
            self.postgres.start()
            self.set("pg_stat_statements.track", "none")
        return self

    def __exit__(self, *_):
        self.postgres.stop()

    # MARK: statements of the harness

    def url(self, database=SUBJECT, tls=False, port=None) -> str:
        return self.postgres.url(database, port) + ("?sslmode=require" if tls else "?sslmode=disable")

    def connect(self, database=SUBJECT):
        connection = psycopg2.connect(self.url(database))
        connection.autocommit = True
        return connection

    def rows(self, statement, parameters=None, database="postgres") -> list:
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"{statement} {MARK}", parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def run(self, *statements, database="postgres"):
        for statement in statements:
            self.rows(statement, database=database)

    def set(self, name, value):
        self.run(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")

    def version(self) -> str:
        return self.rows("SHOW server_version")[0][0]

    def wal_position(self) -> int:
        return int(self.rows("SELECT pg_current_wal_lsn() - '0/0'")[0][0])

    # MARK: databases

    def make_template(self, name, load):
        """`load` gets a connection to the new database."""
        self.run(f"CREATE DATABASE {name}")
        connection = psycopg2.connect(self.url(name))
        load(connection)
        connection.commit()
        connection.close()
        if "pg_prewarm" in self.extensions:
            self.run("CREATE EXTENSION pg_prewarm", database=name)
        self.run("VACUUM (ANALYZE)", "CHECKPOINT", database=name)

    def make_subject(self, template):
        """A fresh copy of the template under the name that `url` gives."""
        self.drop_subject()
        copying = " STRATEGY file_copy" if self._server_number() >= 150000 else ""
        self.run(f"CREATE DATABASE {SUBJECT} TEMPLATE {template}{copying}")
        if "pg_prewarm" in self.extensions:
            self.run(
                """
                SELECT pg_prewarm(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                WHERE relkind IN ('r', 'i', 't') AND nspname IN ('public', 'pg_toast') AND relpages > 0
                """,
                database=SUBJECT,
            )
        self.run("CHECKPOINT")

    def drop_subject(self):
        # A session that has just ended may still be leaving.
        for attempt in range(50):
            try:
                self.run(f"DROP DATABASE IF EXISTS {SUBJECT}")
                return
            except psycopg2.errors.ObjectInUse:
                if attempt == 49:
                    raise
                time.sleep(0.1)

    def sizes(self, table) -> tuple:
        """Bytes of the heap with its large values, and of the indexes."""
        return self.rows("SELECT pg_table_size(%s), pg_indexes_size(%s)", (table, table), SUBJECT)[0]

    # MARK: details

    def _server_number(self) -> int:
        return int(self.rows("SHOW server_version_num")[0][0])

    def _certificate(self) -> dict:
        """Signed by itself: TLS is measured here, not trust."""
        key, certificate = self.directory / "server.key", self.directory / "server.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
             "-out", certificate, "-days", "2", "-subj", "/CN=localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o600)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(SUPERUSER)
            for path in (key, certificate):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        return {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
