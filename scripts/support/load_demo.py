"""Loads a database as an application would have left it before its first key rotation, and writes its catalog.

Three encrypted tables, all under the primary key of the environment (SECRETS_ENCRYPTION_KEY, for the demo
kek-v1), about one value in twenty NULL:

    llm_providers                  half of the rows   bytea, uuid key
    tenant_webhooks                three tenths       jsonb, key (tenant_id, id), partitioned by tenant
    billing.payment_accounts       two tenths         two text columns, bigint key, a schema of its own

The database is DATABASE_URL's. Keys never come by argument.
"""

import argparse
import io
import os
import random
import sys
import time
import uuid

import psycopg2

from envelope_reference import KeyEncryptionKey, seal_canonical

NULL_SHARE = 0.05
PARTITIONS = 4
COPY_BLOCK_ROWS = 5_000

SCHEMA = f"""
CREATE TABLE llm_providers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    api_key_encrypted bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tenant_webhooks (
    tenant_id integer NOT NULL,
    id bigint NOT NULL,
    url text NOT NULL,
    signing_secret_encrypted jsonb,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
{"".join(f'''
CREATE TABLE tenant_webhooks_{n} PARTITION OF tenant_webhooks
    FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {n});''' for n in range(PARTITIONS))}
CREATE SCHEMA billing;
CREATE TABLE billing.payment_accounts (
    id bigint PRIMARY KEY,
    holder text NOT NULL,
    iban_encrypted text,
    card_token_encrypted text
);
"""

CATALOG = """\
tables:
  - name: llm_providers
    encrypted_columns: [api_key_encrypted]
  - name: tenant_webhooks
    id_column: [tenant_id, id]
    encrypted_columns: [signing_secret_encrypted]
  - name: billing.payment_accounts
    id_column: id
    encrypted_columns: [iban_encrypted, card_token_encrypted]
ignore: []
"""


def time_ordered_uuid(milliseconds: int, rng: random.Random) -> uuid.UUID:
    """Version 7: the time first, so that new rows lie together, as in most applications of today."""
    value = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64
    return uuid.UUID(int=value | 0b10 << 62 | rng.getrandbits(62))


def secret_or_null(kek, rng, prefix):
    if rng.random() < NULL_SHARE:
        return None
    return seal_canonical(kek, f"{prefix}{rng.getrandbits(192):048x}".encode())


def provider_rows(count, kek, rng):
    now = 1_700_000_000_000
    for number in range(count):
        secret = secret_or_null(kek, rng, "sk-live-")
        encoded = None if secret is None else "\\x" + secret.encode().hex()
        yield time_ordered_uuid(now + number * 17, rng), f"provider-{number}", encoded


def webhook_rows(count, kek, rng):
    for number in range(count):
        tenant = number % 97
        yield tenant, number, f"https://tenant-{tenant}.example/hooks", secret_or_null(kek, rng, "whsec_")


def account_rows(count, kek, rng):
    for number in range(count):
        iban = secret_or_null(kek, rng, "DE")
        yield number + 1, f"Holder {number + 1}", iban, secret_or_null(kek, rng, "tok_")


def copy_rows(cursor, table, columns, rows):
    """COPY in blocks, so that memory stays bounded whatever the count. The values hold no tab or line end."""
    block = []

    def flush():
        if block:
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO("".join(block)))
            block.clear()

    for row in rows:
        fields = (r"\N" if field is None else str(field).replace("\\", r"\\") for field in row)
        block.append("\t".join(fields) + "\n")
        if len(block) == COPY_BLOCK_ROWS:
            flush()
    flush()


def load(connection, kek: KeyEncryptionKey, rows: int, seed: int) -> dict:
    """Creates and fills the tables in one transaction; returns the rows of each."""
    counts = {"llm_providers": rows // 2, "tenant_webhooks": rows * 3 // 10}
    counts["billing.payment_accounts"] = rows - sum(counts.values())
    rng = random.Random(seed)
    with connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        copy_rows(cursor, "llm_providers", "id, name, api_key_encrypted",
                  provider_rows(counts["llm_providers"], kek, rng))  # fmt: skip
        copy_rows(cursor, "tenant_webhooks", "tenant_id, id, url, signing_secret_encrypted",
                  webhook_rows(counts["tenant_webhooks"], kek, rng))  # fmt: skip
        copy_rows(cursor, "billing.payment_accounts", "id, holder, iban_encrypted, card_token_encrypted",
                  account_rows(counts["billing.payment_accounts"], kek, rng))  # fmt: skip
        cursor.execute("ANALYZE")
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--catalog-out", default="encrypted-tables.yaml", metavar="FILE")
    arguments = parser.parse_args()
    for variable in ("DATABASE_URL", "SECRETS_ENCRYPTION_KEY"):
        if not os.environ.get(variable):
            sys.exit(f"{variable} is not set")
    try:
        kek = KeyEncryptionKey.from_setting(os.environ["SECRETS_ENCRYPTION_KEY"])
    except ValueError:
        sys.exit("SECRETS_ENCRYPTION_KEY is not <key_id>:<base64 of 32 bytes>")

    started = time.monotonic()
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    counts = load(connection, kek, arguments.rows, arguments.seed)
    connection.close()
    with open(arguments.catalog_out, "w", encoding="utf-8") as catalog:
        catalog.write(CATALOG)
    tables = ", ".join(f"{table} {count:,}" for table, count in counts.items())
    print(f"Loaded {arguments.rows:,} rows under {kek.key_id} in {time.monotonic() - started:.1f} s: {tables}")


if __name__ == "__main__":
    main()
