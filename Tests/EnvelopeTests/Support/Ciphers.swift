import Envelope

/// Two generations of keys, as a rotation has them.
struct Rotation {
    let writer: Keyring
    let rotating: Keyring
    let target: Keyring

    init() throws {
        let old = try KeyEncryptionKey.generate(id: KeyID("kek-v1"))
        let new = try KeyEncryptionKey.generate(id: KeyID("kek-v2"))
        writer = try Keyring(primary: old)
        rotating = try Keyring(primary: new, previous: [old])
        target = try Keyring(primary: new)
    }
}

extension EnvelopeCipher {
    func rewrap(_ value: [UInt8], appendingTo output: inout [UInt8]) throws(EnvelopeError) -> Outcome {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try rewrap(UnsafeRawBufferPointer(bytes), appendingTo: &output)
        }
    }

    func reencrypt(_ value: [UInt8], appendingTo output: inout [UInt8]) throws(EnvelopeError) -> Outcome {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try reencrypt(UnsafeRawBufferPointer(bytes), appendingTo: &output)
        }
    }

    func examine(_ value: [UInt8]) throws(EnvelopeError) -> Standing {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try examine(UnsafeRawBufferPointer(bytes))
        }
    }

    func unwrapDEK(of value: [UInt8]) throws(EnvelopeError) -> KeyID {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try unwrapDEK(of: UnsafeRawBufferPointer(bytes))
        }
    }

    func authenticate(_ value: [UInt8]) throws(EnvelopeError) -> KeyID {
        try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try authenticate(UnsafeRawBufferPointer(bytes))
        }
    }
}

/// Parses bytes and says what they are refused for, if at all.
func refusal(of value: [UInt8]) -> EnvelopeError? {
    do {
        _ = try value.withUnsafeBufferPointer { (bytes) throws(EnvelopeError) in
            try ParsedEnvelope(parsing: UnsafeRawBufferPointer(bytes))
        }
        return nil
    } catch {
        return error
    }
}

func refusal(of text: String) -> EnvelopeError? { refusal(of: Array(text.utf8)) }
