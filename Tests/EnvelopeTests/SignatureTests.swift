import COpenSSL
import TestSupport
import Testing

@testable import Envelope

@Suite struct SignatureTests {
    // RFC 8032, 7.1, test 3, in the frames of RFC 8410.
    static let privatePEM = """
        -----BEGIN PRIVATE KEY-----
        MC4CAQAwBQYDK2VwBCIEIMWqjfQ/n4N77bdELzHct7Fm04U1B28JS4XOOi4LRFj3
        -----END PRIVATE KEY-----

        """
    static let publicPEM = """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=
        -----END PUBLIC KEY-----

        """
    static let message: [UInt8] = [0xaf, 0x82]
    static let signature =
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        + "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"

    static func secret(_ text: String) -> SecretBytes {
        SecretBytes(count: text.utf8.count) { $0.copyBytes(from: text.utf8) }
    }

    static func publicKey(_ pem: String = publicPEM) throws -> SignaturePublicKey {
        try Array(pem.utf8).withUnsafeBytes { try SignaturePublicKey(pem: $0) }
    }

    @Test func aKnownAnswer() throws {
        let key = try SignatureKey(pem: Self.secret(Self.privatePEM))
        let signature = try Self.message.withUnsafeBytes { try key.sign($0) }
        #expect(signature.hex == Self.signature)
        let publicKey = try Self.publicKey()
        #expect(publicKey.bytes == key.publicKeyBytes)
        #expect(try Self.message.withUnsafeBytes { try publicKey.isValid(signature, of: $0) })
    }

    @Test func anyFlippedBitIsNoticed() throws {
        let key = try SignatureKey(pem: Self.secret(Self.privatePEM))
        let publicKey = try Self.publicKey()
        let message = Array("a report".utf8)
        let signature = try message.withUnsafeBytes { try key.sign($0) }
        for bit in 0..<(message.count * 8) {
            var changed = message
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(try !changed.withUnsafeBytes { try publicKey.isValid(signature, of: $0) })
        }
        for bit in 0..<(signature.count * 8) {
            var changed = signature
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(try !message.withUnsafeBytes { try publicKey.isValid(changed, of: $0) })
        }
        for length in 0..<signature.count {
            let short = Array(signature.prefix(length))
            #expect(try !message.withUnsafeBytes { try publicKey.isValid(short, of: $0) })
        }
        #expect(ERR_peek_error() == 0)
    }

    @Test func anEmptyMessageHasASignature() throws {
        let key = try SignatureKey(pem: Self.secret(Self.privatePEM))
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        let signature = try key.sign(nothing)
        #expect(try Self.publicKey().isValid(signature, of: nothing))
    }

    @Test(arguments: [
        ("", SignatureError.Code.notAPrivateKey), ("nonsense", .notAPrivateKey),
        (publicPEM, .notAPrivateKey),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
            .passwordProtected
        ),
        (x25519PEM, .anotherAlgorithm),
    ])
    func whatIsNoPrivateKey(_ pem: String, _ code: SignatureError.Code) {
        #expect(throws: SignatureError(code)) { try SignatureKey(pem: Self.secret(pem)) }
        #expect(ERR_peek_error() == 0)
    }

    @Test(arguments: ["", "nonsense", privatePEM])
    func whatIsNoPublicKey(_ pem: String) {
        #expect(throws: SignatureError(.notAPublicKey)) { try Self.publicKey(pem) }
        #expect(ERR_peek_error() == 0)
    }

    // RFC 8410 frames the keys of both curves alike; only the algorithm's number differs.
    static let x25519PEM = privatePEM.split(separator: "BQYDK2VwBCIE").joined(separator: "BQYDK2VuBCIE")
}
