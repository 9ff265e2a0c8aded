"""Opens every value that load_demo.py wrote with the primary key alone, without the tool's code.

Prints how many opened, by table and column. Exits with 1 where one did not. With --count: only counts the values.
"""

import os
import sys

import psycopg2

from envelope_reference import KeyEncryptionKey, open_envelope

COLUMNS = [
    ("llm_providers", "api_key_encrypted"),
    ("tenant_webhooks", "signing_secret_encrypted"),
    ("billing.payment_accounts", "iban_encrypted"),
    ("billing.payment_accounts", "card_token_encrypted"),
]


def count() -> int:
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        total = 0
        for table, column in COLUMNS:
            cursor.execute(f"SELECT count({column}) FROM {table}")
            total += cursor.fetchone()[0]
    return total


def main() -> int:
    if sys.argv[1:] == ["--count"]:
        print(count())
        return 0
    key = KeyEncryptionKey.from_setting(os.environ["SECRETS_ENCRYPTION_KEY"])
    failed = 0
    with psycopg2.connect(os.environ["DATABASE_URL"]) as connection:
        for table, column in COLUMNS:
            opened = 0
            with connection.cursor(f"read_{column}") as cursor:
                cursor.execute(f"SELECT convert_to({column}::text, 'UTF8') FROM {table} WHERE {column} IS NOT NULL"
                               if column != "api_key_encrypted" else
                               f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
                for (value,) in cursor:
                    try:
                        open_envelope(bytes(value), key)
                        opened += 1
                    except Exception:  # any refusal counts; the value itself is not shown
                        failed += 1
            print(f"  {table}.{column}: {opened} values open with {key.key_id}")
    if failed:
        print(f"  {failed} values do not open", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
