"""Whether the tool waits for a lock: the moment at which another session's transaction may end."""

from support.waiting import wait_until

_WAITING = """
    SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE NOT l.granted AND l.locktype = 'relation' AND l.relation = %s
      AND a.datname = current_database() AND a.application_name LIKE 'reencrypt-secrets%%'
"""


def oid_of(database, sql_name) -> int:
    """Asked for before the table is locked: to ask by name would wait."""
    return database.value("SELECT %s::regclass::oid", (sql_name,))


def is_waiting(database, oid) -> bool:
    return database.value(_WAITING, (oid,)) > 0


def wait_until_it_waits(database, oid, *processes, timeout=30.0):
    """Until a session of the tool waits for a lock on the relation, or one of the processes has ended."""
    wait_until(
        lambda: is_waiting(database, oid) or not all(process.is_running() for process in processes),
        "the tool waits for the lock",
        timeout,
    )
