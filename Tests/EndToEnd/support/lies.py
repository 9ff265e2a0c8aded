"""Values that say one key and need another, and what is the truth about a table."""

from envelope_reference import EnvelopeError, KeyEncryptionKey, open_envelope


def liar(kek_v1, kek_v2) -> KeyEncryptionKey:
    """Seals values that are labelled with the new key's id while the old key wraps their data key."""
    return KeyEncryptionKey(kek_v2.key_id, kek_v1.key)


def needs_another(values, *keks) -> int:
    """How many of the stored values do not open with `keks` alone."""
    count = 0
    for value in values:
        if value is None:
            continue
        try:
            open_envelope(value, *keks)
        except EnvelopeError:
            count += 1
    return count


def expect_truth(outcome, values, *keks, words=()):
    """Exit code 0 only if every value opens with `keks` alone; else 1 or 2, and each of `words` in what it says."""
    outcome.expect(0, 1, 2)
    old = needs_another(values, *keks)
    if outcome.exit_code == 0:
        assert old == 0, f"exit code 0, and {old} values need another key\n{outcome}"
        return
    for word in words:
        assert word in outcome.output, f"says nothing of {word}\n{outcome}"
