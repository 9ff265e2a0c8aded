"""What `pgcrypto` can do inside the server.

It has no GCM, and no way to wrap a key: neither the envelope nor anything authenticated alike can be made with it. The
nearest things are a value under AES-CBC, decrypted and encrypted in one UPDATE (nothing tells a damaged value from a
sound one), and OpenPGP messages under a password, which is what its manual advises. Both put the keys into the
statements' parameters and so into the server's memory, and possibly its log.
"""

import os

from sealed_tables import COLUMN, TIME_ORDERED

CBC, PGP = "pgcrypto_cbc", "pgcrypto_pgp"
# As long as the envelope of 331 bytes, to AES' blocks: 16 bytes of initialisation vector, 320 of ciphertext.
CBC_PLAINTEXT = 319
PGP_PLAINTEXT = 89


class PgcryptoKeys:
    def __init__(self):
        self.old, self.new = os.urandom(32).hex(), os.urandom(32).hex()


def load(connection, table, rows, kind, keys):
    key = TIME_ORDERED.replace("%", "%%")
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pgcrypto")
        cursor.execute(f"CREATE TABLE {table} (id uuid, {COLUMN} bytea NOT NULL)")
        if kind == CBC:
            value = f"iv || encrypt_iv(gen_random_bytes({CBC_PLAINTEXT}), '\\x{keys.old}', iv, 'aes-cbc')"
            source = f"(SELECT row, gen_random_bytes(16) AS iv FROM generate_series(0, {rows - 1}) AS s (row)) AS t"
        else:
            value = f"pgp_sym_encrypt_bytea(gen_random_bytes({PGP_PLAINTEXT}), '{keys.old}')"
            source = f"generate_series(0, {rows - 1}) AS s (row)"
        cursor.execute(f"INSERT INTO {table} SELECT {key.replace('%%', '%')}, {value} FROM {source} ORDER BY row")
        cursor.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")


def reencryption(kind, keys, table) -> str:
    """The assignment of the UPDATE."""
    if kind == PGP:
        return f"{COLUMN} = pgp_sym_encrypt_bytea(pgp_sym_decrypt_bytea({COLUMN}, '{keys.old}'), '{keys.new}')"
    # A sub-select that names the row is computed for each: a vector of its own.
    column = f"{table}.{COLUMN}"
    opened = f"decrypt_iv(substring({column} FROM 17), '\\x{keys.old}', substring({column} FOR 16), 'aes-cbc')"
    return (
        f"{COLUMN} = (SELECT iv || encrypt_iv({opened}, '\\x{keys.new}', iv, 'aes-cbc')"
        f" FROM (SELECT gen_random_bytes(16 + 0 * length({column})) AS iv OFFSET 0) vector)"
    )


def check(connection, table, kind, keys):
    with connection.cursor() as cursor:
        if kind == CBC:
            opened = f"decrypt_iv(substring({COLUMN} FROM 17), '\\x{keys.new}', substring({COLUMN} FOR 16), 'aes-cbc')"
        else:
            opened = f"pgp_sym_decrypt_bytea({COLUMN}, '{keys.new}')"
        expected = CBC_PLAINTEXT if kind == CBC else PGP_PLAINTEXT
        cursor.execute(f"SELECT count(*) FROM (SELECT * FROM {table} LIMIT 20) s WHERE length({opened}) = {expected}")
        if cursor.fetchone()[0] != 20:
            raise SystemExit("pgcrypto's values do not open under the new key")
