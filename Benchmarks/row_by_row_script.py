"""What the usual tool does: reads the ids, then a SELECT and an UPDATE a row, each its own transaction.

    row_by_row_script.py ROWS        with DATABASE_URL, OLD_KEY and NEW_KEY in the environment
"""

import os
import sys

import psycopg2

from batched_script import COLUMN, TABLE, rewrapper
from envelope_reference import KeyEncryptionKey


def main():
    rewrap = rewrapper(*(KeyEncryptionKey.from_setting(os.environ[name]) for name in ("OLD_KEY", "NEW_KEY")))
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f"SELECT id FROM {TABLE} ORDER BY id LIMIT %s", (int(sys.argv[1]),))
    for (row_id,) in cursor.fetchall():
        cursor.execute(f"SELECT {COLUMN} FROM {TABLE} WHERE id = %s", (row_id,))
        cursor.execute(f"UPDATE {TABLE} SET {COLUMN} = %s WHERE id = %s", (rewrap(cursor.fetchone()[0]), row_id))


if __name__ == "__main__":
    main()
