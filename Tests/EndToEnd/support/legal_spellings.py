"""Unknown members that other writers may leave in an envelope, many of them made to be taken for something else."""

# Pairs of raw JSON: name and value. The decoys hold the label that a search by text would look for.
UNKNOWN_MEMBERS = [
    ('"note"', '"plain"'),
    ('"meta"', '{"key_id":"kek-v2","version":1}'),
    ('"old"', '{"a":[{"key_id": "kek-v1"},"\\"key_id\\":\\"kek-v2\\""]}'),
    ('"decoy"', '"{\\"version\\":1,\\"alg\\":\\"AES-256-GCM\\",\\"key_id\\":\\"kek-v2\\","'),
    ('"previous"', '{"version":1,"alg":"AES-256-GCM","key_id":"kek-v2","dek_wrapped":"AAAA","nonce":""}'),
    ('"KEY_ID"', '"kek-v2"'),
    ('"key_id "', '"kek-v2"'),
    ('""', "null"),
    ('"amount"', "1.50"),
    ('"large"', "12345678901234567890.12345678901234567890"),
    ('"exponent"', "-1.5E+30"),
    ('"é"', '"ü€😀"'),
    ('"\\u00e9t\\u00e9"', "true"),
    ('"emoji"', '"\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\\\"'),
    ('"list"', '[ 1 ,\t"key_id" , {} , [ ] , false ]'),
    ('"deep"', "[" * 20 + "]" * 20),
]

# Legal JSON that jsonb cannot hold, or that it folds into one.
UNKNOWN_MEMBERS_OF_TEXT = UNKNOWN_MEMBERS + [
    ('"nul"', '"a\\u0000b"'),
    ('"lone"', '"\\ud83d"'),
    ('"note"', '"a second of the same name"'),
]


def unknown_members(column_type) -> list:
    return UNKNOWN_MEMBERS if column_type == "jsonb" else UNKNOWN_MEMBERS_OF_TEXT
