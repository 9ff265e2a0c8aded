"""The floor: what the server can do at all.

`UPDATE … SET column = <constant of the same size>` in 1,000-row key ranges inside the server, a commit a range: no
crypto, no transfer. The constant is one of the table's own values, so that it takes what a value takes to store.
"""

import threading
import time

import psycopg2

from sealed_tables import COLUMN

PROGRAM = """
DO $floor$
DECLARE
    key_range record;
BEGIN
    FOR key_range IN SELECT low, high FROM floor_ranges WHERE number % {lanes} = {lane} ORDER BY number LOOP
        UPDATE {table} SET {assignment} WHERE id BETWEEN key_range.low AND key_range.high;
        COMMIT;
    END LOOP;
END $floor$
"""


def constant(value: str, kind: str) -> str:
    """A literal of the column's type; the envelope's characters need no escape."""
    return f"convert_to('{value}', 'UTF8')" if kind == "bytea" else f"'{value}'::{kind}"


def floor_assignment(value: str, kind: str) -> str:
    return f"{COLUMN} = {constant(value, kind)}"


def update_in_ranges(server, table, assignment, connections) -> float:
    """Seconds that it takes to update the whole subject so, over so many connections."""
    errors = []
    sessions = [server.connect() for _ in range(connections)]

    def lane(number):
        try:
            with sessions[number].cursor() as cursor:
                cursor.execute(
                    PROGRAM.format(table=table, assignment=assignment, lanes=connections, lane=number)
                )
        except psycopg2.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(connections)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    for session in sessions:
        session.close()
    if errors:
        raise errors[0]
    return seconds
