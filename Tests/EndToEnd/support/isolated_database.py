"""A database of its own for one test: advisory locks, roles' settings and tables cannot collide."""

import contextlib
import itertools
import os

import psycopg2

_numbers = itertools.count(1)
# By the server's address: the connection that makes and drops databases there.
_maintenance_connections = {}
# A test that waits for a lock for ever should fail in its own words before the watchdog ends it.
SESSION_OPTIONS = "-c statement_timeout=90s -c lock_timeout=60s"


class IsolatedDatabase:
    def __init__(self, server, options=""):
        self.server = server
        self.name = f"test_{os.getpid()}_{next(_numbers)}"
        self._roles = []
        self._connections = []
        with self._maintenance() as cursor:
            # A copy of files costs a quarter of a copy through the log, where nobody waits for the disk.
            copied = "STRATEGY file_copy" if cursor.connection.server_version >= 150_000 else ""
            cursor.execute(f"CREATE DATABASE {self.name} TEMPLATE template0 {copied} {options}")

    @contextlib.contextmanager
    def _maintenance(self):
        connection = _maintenance_connections.get(self.server.url())
        # A server of a test's own may have been away since.
        if connection is None or connection.closed:
            connection = psycopg2.connect(self.server.url())
            connection.autocommit = True
            _maintenance_connections[self.server.url()] = connection
        try:
            with connection.cursor() as cursor:
                yield cursor
        except psycopg2.OperationalError:
            connection.close()
            raise

    def drop(self):
        for connection in self._connections:
            connection.close()
        with self._maintenance() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            for role in self._roles:
                cursor.execute(f"DROP ROLE IF EXISTS {role}")

    # MARK: addresses

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def url_through(self, port) -> str:
        """The same database through a proxy that listens on `port`."""
        return self.server.url(self.name, port=port)

    def url_as(self, role) -> str:
        return self.server.url(self.name, user=role, password=role)

    # MARK: access

    def connect(self, application_name="application", autocommit=False):
        """An application's connection, closed at the end of the test."""
        connection = psycopg2.connect(self.url, application_name=application_name, options=SESSION_OPTIONS)
        connection.autocommit = autocommit
        self._connections.append(connection)
        return connection

    @contextlib.contextmanager
    def transaction(self):
        """A cursor in a transaction that commits at the end."""
        connection = psycopg2.connect(self.url, application_name="test", options=SESSION_OPTIONS)
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def execute(self, sql, parameters=None):
        with self.transaction() as cursor:
            cursor.execute(sql, parameters)

    def rows(self, sql, parameters=None) -> list:
        with self.transaction() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def value(self, sql, parameters=None):
        return self.rows(sql, parameters)[0][0]

    def create_role(self, suffix, attributes="") -> str:
        """A login role, its password its name; dropped with the database."""
        role = f"{self.name}_{suffix}"
        self._roles.append(role)
        self.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{role}' {attributes}")
        return role

    def set(self, name, value):
        """A default of every later session in this database."""
        with self._maintenance() as cursor:
            cursor.execute(f"ALTER DATABASE {self.name} SET {name} = %s", (value,))
