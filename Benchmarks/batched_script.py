"""What a careful user would write: ranges in key order, locked, rewrapped by `cryptography`, one UPDATE a range.

    batched_script.py PART PARTS        with DATABASE_URL, OLD_KEY and NEW_KEY in the environment

As fast as Python gets it: contexts kept, the envelope cut by its known spelling rather than parsed, rows updated by
`ctid` under their lock, values sent as one hexadecimal array. It checks less than the tool does.
"""

import base64
import os
import sys

import psycopg2

from envelope_reference import KeyEncryptionKey

ROWS = 1_000
TABLE, COLUMN = "secrets", "api_key_encrypted"


def rewrapper(old, new):
    marker, replacement = f'"key_id":"{old.key_id}"'.encode(), f'"key_id":"{new.key_id}"'.encode()
    opening = b'"dek_wrapped":"'
    decrypt, encrypt, random = old.aead.decrypt, new.aead.encrypt, os.urandom
    decode, encode = base64.b64decode, base64.b64encode

    def rewrap(value):
        value = bytes(value)
        start = value.index(opening) + len(opening)
        end = value.index(b'"', start)
        wrapped = decode(value[start:end])
        nonce = random(12)
        sealed = encode(nonce + encrypt(nonce, decrypt(wrapped[:12], wrapped[12:], None), None))
        return value[:start].replace(marker, replacement) + sealed + value[end:]

    return rewrap


def main():
    part, parts = int(sys.argv[1]), int(sys.argv[2])
    rewrap = rewrapper(*(KeyEncryptionKey.from_setting(os.environ[name]) for name in ("OLD_KEY", "NEW_KEY")))
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    cursor = connection.cursor()
    cursor.execute(f"SELECT percentile_disc(%s::float8[]) WITHIN GROUP (ORDER BY id) FROM {TABLE}", (
        [part / parts, (part + 1) / parts],
    ))  # fmt: skip
    ends = cursor.fetchone()[0]
    if ends is None:
        return
    low, high = ends.strip("{}").split(",")
    first, last = ">=" if part == 0 else ">", "<="
    while True:
        cursor.execute(
            f"SELECT ctid, id, {COLUMN} FROM {TABLE} WHERE id {first} %s AND id {last} %s"
            f" ORDER BY id LIMIT {ROWS} FOR NO KEY UPDATE",
            (low, high),
        )
        rows = cursor.fetchall()
        if not rows:
            return
        low, first = rows[-1][1], ">"
        places = ",".join(f'"{row[0]}"' for row in rows)
        values = ",".join(f'"\\\\x{rewrap(row[2]).hex()}"' for row in rows)
        cursor.execute(
            f"UPDATE {TABLE} SET {COLUMN} = new.value FROM unnest('{{{places}}}'::tid[], '{{{values}}}'::bytea[])"
            f" AS new (place, value) WHERE {TABLE}.ctid = new.place"
        )
        connection.commit()


if __name__ == "__main__":
    main()
