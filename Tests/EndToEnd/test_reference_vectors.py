"""The reference implementation agrees with the known answers, or nothing it judges would mean anything."""

import base64
import json
import random

import pytest

from envelope_reference import EnvelopeError, KeyEncryptionKey, differs_only_in, open_envelope, random_spelling, seal
from support.rotation_tool import REPOSITORY


@pytest.fixture(scope="module")
def vectors():
    found = [*REPOSITORY.glob("Tests/EnvelopeTests/Fixtures/envelope.json")]
    assert found, "Tests/EnvelopeTests/Fixtures/envelope.json is missing"
    return json.loads(found[0].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def vector_keys(vectors):
    return [KeyEncryptionKey(name, base64.b64decode(key)) for name, key in vectors["keys"].items()]


def test_opens_every_valid_vector(vectors, vector_keys):
    for case in vectors["valid"]:
        plaintext = open_envelope(case["text"].encode(), *vector_keys)
        assert plaintext == base64.b64decode(case["plaintext_base64"]), case["name"]


def test_refuses_every_invalid_vector(vectors, vector_keys):
    for case in vectors["invalid"]:
        with pytest.raises(EnvelopeError):
            open_envelope(case["text"].encode(), *vector_keys)


def test_opens_what_it_seals_in_any_spelling(kek_v1):
    rng = random.Random(7)
    for length in range(300):
        sealed = seal(kek_v1, b"x" * length, random_spelling(rng, [('"meta"', '{"key_id":"kek-v2"}')]))
        assert open_envelope(sealed.bytes, kek_v1) == sealed.plaintext


def test_the_byte_comparison_can_fail(kek_v1):
    """A comparison that accepts everything would make half of these tests empty."""
    sealed = seal(kek_v1, b"x")
    assert differs_only_in(sealed, sealed.text.replace("kek-v1", "kek-v22"))
    assert not differs_only_in(sealed, sealed.text + " ")
    assert not differs_only_in(sealed, sealed.text.replace('"nonce"', '"Nonce"'))
    assert not differs_only_in(sealed, sealed.text.replace('"version":1', '"version": 1'))
