"""Four tables of different shapes, filled fast: a partitioned one, one of jsonb, one of two columns, a plain one."""

import io
import os

from envelope_reference import open_envelope, seal_canonical

# Rows of all four together.
ROWS = int(os.environ.get("REENCRYPT_TEST_ROWS", 12_000))
# Table, column, and how to get the column's text.
COLUMNS = [
    ("llm_providers", "api_key_encrypted", "convert_from(api_key_encrypted, 'UTF8')"),
    ("tenant_webhooks", "signing_secret_encrypted", "signing_secret_encrypted"),
    ("oauth_tokens", "token_encrypted", "token_encrypted::text"),
    ("billing.payment_accounts", "iban_encrypted", "iban_encrypted"),
    ("billing.payment_accounts", "card_token_encrypted", "card_token_encrypted"),
]
SCHEMA = """
CREATE TABLE llm_providers (id bigint PRIMARY KEY, name text, api_key_encrypted bytea);
CREATE TABLE tenant_webhooks (
    tenant_id integer, id bigint, url text, signing_secret_encrypted text, PRIMARY KEY (tenant_id, id)
) PARTITION BY HASH (tenant_id);
CREATE TABLE tenant_webhooks_0 PARTITION OF tenant_webhooks FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE tenant_webhooks_1 PARTITION OF tenant_webhooks FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE oauth_tokens (id bigint PRIMARY KEY, token_encrypted jsonb);
CREATE SCHEMA billing;
CREATE TABLE billing.payment_accounts (id bigint PRIMARY KEY, iban_encrypted text, card_token_encrypted text);
"""
TENANTS = 50
ONE_IN_NULL = 20


class FourTables:
    catalog_entries = [
        {"name": "llm_providers", "encrypted_columns": ["api_key_encrypted"]},
        {"name": "tenant_webhooks", "id_column": ["tenant_id", "id"], "encrypted_columns": ["signing_secret_encrypted"]},
        {"name": "oauth_tokens", "encrypted_columns": ["token_encrypted"]},
        {"name": "billing.payment_accounts", "encrypted_columns": ["iban_encrypted", "card_token_encrypted"]},
    ]  # fmt: skip

    # Sealing takes longer than all else; the same rows serve every test of a session.
    _copies = {}

    def __init__(self, database):
        self.database = database
        self.records = 0

    def create(self, kek, rows):
        """`rows` over all tables, a fourth in each; the last table has two records a row, less its NULLs."""
        self.database.execute(SCHEMA)
        if (kek, rows) not in self._copies:
            self._copies[kek, rows] = self._sealed_rows(kek, rows), self.records
        copies, self.records = self._copies[kek, rows]
        with self.database.transaction() as cursor:
            for target, text in copies:
                cursor.copy_expert(f"COPY {target} FROM STDIN", io.StringIO(text))
        return self

    def _sealed_rows(self, kek, rows) -> list:
        """What COPY takes: its target, and its text."""
        quarter = range(rows // 4)
        lines = [
            ("llm_providers (id, name, api_key_encrypted)",
             (f"{n}\tprovider\t\\\\x{self._sealed(kek, f'api-{n}').encode().hex()}" for n in quarter)),
            ("tenant_webhooks (tenant_id, id, url, signing_secret_encrypted)",
             (f"{n % TENANTS}\t{n}\thttps://example.org\t{self._sealed(kek, f'hook-{n}')}" for n in quarter)),
            ("oauth_tokens (id, token_encrypted)", (f"{n}\t{self._sealed(kek, f'token-{n}')}" for n in quarter)),
            ("billing.payment_accounts (id, iban_encrypted, card_token_encrypted)",
             (f"{n}\t{self._sealed(kek, f'iban-{n}', n)}\t{self._sealed(kek, f'card-{n}')}" for n in quarter)),
        ]  # fmt: skip
        return [(target, "".join(line + "\n" for line in of_target)) for target, of_target in lines]

    def _sealed(self, kek, plaintext, number=1) -> str:
        """NULL for some numbers. Envelopes hold neither tab nor backslash."""
        if number % ONE_IN_NULL == 0:
            return "\\N"
        self.records += 1
        return seal_canonical(kek, plaintext.encode())

    def count_under(self, kek) -> int:
        """Records that carry the key's label, by SQL."""
        pattern = f'"key_id": ?"{kek.key_id}"'
        counts = [
            self.database.value(f"SELECT count(*) FROM {table} WHERE {text} ~ %s", (pattern,))
            for table, _, text in COLUMNS
        ]
        return sum(counts)

    def assert_opens_with(self, kek):
        """Every value opens to what was sealed for its row, in its column."""
        names = {"api_key_encrypted": "api", "signing_secret_encrypted": "hook", "token_encrypted": "token",
                 "iban_encrypted": "iban", "card_token_encrypted": "card"}  # fmt: skip
        seen = 0
        for table, column, text in COLUMNS:
            for number, value in self.database.rows(f"SELECT id, {text} FROM {table} WHERE {column} IS NOT NULL"):
                assert open_envelope(value, kek) == f"{names[column]}-{number}".encode(), f"{table}.{column} {number}"
                seen += 1
        assert seen == self.records, "records are missing"
