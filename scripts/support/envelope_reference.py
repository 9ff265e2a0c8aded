"""An independent implementation of the stored value, written from the contract's section 1 alone.

It shares nothing with the Swift library: JSON by Python's `json`, AES-256-GCM by `cryptography`. What this
module seals the tool must rewrap, and what the tool wrote this module must open. It can write every legal
spelling of an envelope (member order, white space, `\\u` escapes, unknown members), because other writers do.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALGORITHM = "AES-256-GCM"
MEMBERS = ("version", "alg", "key_id", "dek_wrapped", "nonce", "ciphertext")
KEY_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
NONCE_BYTES = 12
DEK_BYTES = 32
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + DEK_BYTES + TAG_BYTES


class EnvelopeError(ValueError):
    """The value is no envelope, or its key does not open it."""


# MARK: keys


class KeyEncryptionKey:
    """A KEK with its id. The cipher context is kept: making one costs more than a wrap."""

    def __init__(self, key_id: str, key: bytes):
        if not KEY_ID_PATTERN.fullmatch(key_id) or len(key) != 32:
            raise ValueError("a KEK is a key id and 32 bytes")
        self.key_id = key_id
        self.key = key
        self.aead = AESGCM(key)

    @classmethod
    def generate(cls, key_id: str) -> "KeyEncryptionKey":
        return cls(key_id, os.urandom(32))

    @classmethod
    def from_setting(cls, setting: str) -> "KeyEncryptionKey":
        """`<key_id>:<base64 of 32 bytes>`, as in SECRETS_ENCRYPTION_KEY."""
        key_id, _, encoded = setting.strip().partition(":")
        return cls(key_id, base64.b64decode(encoded, validate=True))

    @property
    def setting(self) -> str:
        return f"{self.key_id}:{base64.b64encode(self.key).decode()}"

    @property
    def check_value(self) -> str:
        """Public: the first 8 bytes, in hex, of HMAC-SHA-256(KEK, 'reencrypt-secrets key check')."""
        return hmac.new(self.key, b"reencrypt-secrets key check", hashlib.sha256).digest()[:8].hex()

    def __repr__(self):
        return f"KeyEncryptionKey({self.key_id})"


# MARK: spelling


@dataclasses.dataclass(frozen=True)
class Spelling:
    """How an envelope is written down. The default is the canonical form of the contract."""

    order: tuple = MEMBERS
    before_name: str = ""
    after_name: str = ""
    before_value: str = ""
    after_value: str = ""
    around: tuple = ("", "")
    escaped_names: frozenset = frozenset()
    escaped_values: frozenset = frozenset()
    escaped_solidus: bool = False
    # (position among the members, raw JSON of the name, raw JSON of the value)
    unknown: tuple = ()


CANONICAL = Spelling()


def escape_every_character(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def random_spelling(rng, unknown_members=(), escapes=True) -> Spelling:
    """A legal spelling drawn from `rng`; `unknown_members` are pairs of raw JSON to choose from."""
    order = list(MEMBERS)
    if rng.random() < 0.6:
        rng.shuffle(order)
    spaces = rng.choice([("",), (" ",), ("", " ", "\n", "\t", "\r\n", "  \n\t ")])
    unknown = []
    if unknown_members and rng.random() < 0.6:
        chosen = rng.sample(list(unknown_members), rng.randint(1, min(3, len(unknown_members))))
        unknown = [(rng.randint(0, len(order)), name, value) for name, value in chosen]
    strings = [name for name in MEMBERS if name != "version"]
    return Spelling(
        order=tuple(order),
        before_name=rng.choice(spaces),
        after_name=rng.choice(spaces),
        before_value=rng.choice(spaces),
        after_value=rng.choice(spaces),
        around=(rng.choice(spaces), rng.choice(spaces)),
        escaped_names=frozenset(rng.sample(MEMBERS, 2)) if escapes and rng.random() < 0.3 else frozenset(),
        escaped_values=frozenset(rng.sample(strings, 2)) if escapes and rng.random() < 0.3 else frozenset(),
        escaped_solidus=escapes and rng.random() < 0.3,
        unknown=tuple(unknown),
    )


# MARK: sealing


@dataclasses.dataclass(frozen=True)
class Sealed:
    """An envelope and what only its writer knows. The spans are those of the value tokens, quotes included."""

    text: str
    plaintext: bytes
    dek: bytes
    key_id: str
    spans: dict

    @property
    def bytes(self) -> bytes:
        return self.text.encode()


def _wrap(kek: KeyEncryptionKey, dek: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + kek.aead.encrypt(nonce, dek, None)).decode()


def seal_canonical(kek: KeyEncryptionKey, plaintext: bytes) -> str:
    """The fast path for loaders: canonical spelling, nothing kept."""
    dek = os.urandom(DEK_BYTES)
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = base64.b64encode(AESGCM(dek).encrypt(nonce, plaintext, None)).decode()
    return (
        f'{{"version":1,"alg":"AES-256-GCM","key_id":"{kek.key_id}","dek_wrapped":"{_wrap(kek, dek)}",'
        f'"nonce":"{base64.b64encode(nonce).decode()}","ciphertext":"{ciphertext}"}}'
    )


def seal(kek: KeyEncryptionKey, plaintext: bytes, spelling: Spelling = CANONICAL) -> Sealed:
    dek = os.urandom(DEK_BYTES)
    nonce = os.urandom(NONCE_BYTES)
    values = {
        "version": 1,
        "alg": ALGORITHM,
        "key_id": kek.key_id,
        "dek_wrapped": _wrap(kek, dek),
        "nonce": base64.b64encode(nonce).decode(),
        "ciphertext": base64.b64encode(AESGCM(dek).encrypt(nonce, plaintext, None)).decode(),
    }
    text, spans = spell(values, spelling)
    return Sealed(text, plaintext, dek, kek.key_id, spans)


def spell(values: dict, spelling: Spelling = CANONICAL):
    """Writes the members down; returns the text and each known member's value span."""
    members = [(name, _name_token(name, spelling), _value_token(name, values[name], spelling))
               for name in spelling.order if name in values]  # fmt: skip
    for position, raw_name, raw_value in sorted(spelling.unknown, key=lambda item: -item[0]):
        members.insert(position, (None, raw_name, raw_value))
    parts, spans, length = [], {}, 0

    def append(piece):
        nonlocal length
        parts.append(piece)
        length += len(piece)

    append(spelling.around[0] + "{")
    for index, (name, name_token, value_token) in enumerate(members):
        append(("," if index else "") + spelling.before_name + name_token + spelling.after_name + ":")
        append(spelling.before_value)
        if name is not None:
            spans[name] = (length, length + len(value_token))
        append(value_token)
        append(spelling.after_value)
    append("}" + spelling.around[1])
    return "".join(parts), spans


def _name_token(name, spelling) -> str:
    return f'"{escape_every_character(name)}"' if name in spelling.escaped_names else f'"{name}"'


def _value_token(name, value, spelling) -> str:
    if name in spelling.escaped_values:
        return f'"{escape_every_character(value)}"'
    token = json.dumps(value)
    return token.replace("/", "\\/") if spelling.escaped_solidus else token


# MARK: opening


class _Object(list):
    """A JSON object as its pairs, so that a member that stands twice is seen."""


def _reject_constant(_):
    raise EnvelopeError("no JSON")


def parse(value) -> dict:
    """The members of an envelope, checked; unknown members of the outermost object stay under their names."""
    text = bytes(value).decode("utf-8") if not isinstance(value, str) else value
    try:
        pairs = json.loads(text, object_pairs_hook=_Object, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError(f"no JSON: {type(error).__name__}") from None
    if not isinstance(pairs, _Object):
        raise EnvelopeError("no JSON object")
    names = [name for name, _ in pairs]
    for name in MEMBERS:
        if names.count(name) != 1:
            raise EnvelopeError(f"member {name} stands {names.count(name)} times")
    members = dict(pairs)
    if type(members["version"]) is not int or members["version"] != 1:
        raise EnvelopeError("unsupported version")
    if members["alg"] != ALGORITHM:
        raise EnvelopeError("unsupported algorithm")
    if not isinstance(members["key_id"], str) or not KEY_ID_PATTERN.fullmatch(members["key_id"]):
        raise EnvelopeError("malformed key_id")
    for name, shortest, longest in (
        ("dek_wrapped", WRAPPED_BYTES, WRAPPED_BYTES),
        ("nonce", NONCE_BYTES, NONCE_BYTES),
        ("ciphertext", TAG_BYTES, None),
    ):
        members[name] = _decoded(members[name])
        size = len(members[name])
        if size < shortest or (longest is not None and size > longest):
            raise EnvelopeError(f"{name} has {size} bytes")
    return members


def _decoded(value) -> bytes:
    if not isinstance(value, str):
        raise EnvelopeError("a member that should be base64 is no string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError("not base64") from None


def unwrap(value, *keks: KeyEncryptionKey) -> bytes:
    """The DEK of an envelope."""
    return _unwrap(parse(value), keks)


def _unwrap(members, keks) -> bytes:
    for kek in keks:
        if kek.key_id == members["key_id"]:
            wrapped = members["dek_wrapped"]
            try:
                return kek.aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], None)
            except InvalidTag:
                raise EnvelopeError(f"{kek.key_id} does not open the DEK") from None
    raise EnvelopeError(f"unknown key {members['key_id']}")


def open_envelope(value, *keks: KeyEncryptionKey) -> bytes:
    """The plaintext of an envelope, opened with one of `keks`."""
    members = parse(value)
    try:
        return AESGCM(_unwrap(members, keks)).decrypt(members["nonce"], members["ciphertext"], None)
    except InvalidTag:
        raise EnvelopeError("the data does not open") from None


def key_id(value) -> str:
    return parse(value)["key_id"]


def differs_only_in(before: Sealed, after: str, members=("key_id", "dek_wrapped")) -> bool:
    """Whether `after` is `before` byte for byte, outside the value tokens of `members`."""
    pattern, position = [], 0
    for start, end in sorted(before.spans[name] for name in members):
        pattern.append(re.escape(before.text[position:start]))
        pattern.append(r'"(?:[^"\\]|\\.)*"')
        position = end
    pattern.append(re.escape(before.text[position:]))
    return re.fullmatch("".join(pattern), after, re.S) is not None
