import COpenSSL
import TestSupport
import Testing

@testable import Envelope

@Suite("AES-256-GCM and digests")
struct AESGCMTests {
    private func seal(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8]) throws -> [UInt8] {
        let context = try AESGCM(.seal)
        var sealed = [UInt8](repeating: 0, count: plaintext.count + 16)
        try key.withUnsafeBytes { try context.setKey($0) }
        try plaintext.withUnsafeBytes { plaintext in
            try nonce.withUnsafeBytes { nonce in
                try sealed.withUnsafeMutableBytes { sealed in
                    try context.seal(
                        plaintext, nonce: #require(nonce.baseAddress), to: #require(sealed.baseAddress))
                }
            }
        }
        return sealed
    }

    /// Test cases 13 and 14 of McGrew and Viega, "The Galois/Counter Mode of Operation".
    @Test func knownAnswers() throws {
        let zeros = [UInt8](repeating: 0, count: 32)
        let nonce = [UInt8](repeating: 0, count: 12)
        #expect(try seal([], key: zeros, nonce: nonce).hex == "530f8afbc74536b9a963b4f1c4cb738b")
        #expect(
            try seal([UInt8](repeating: 0, count: 16), key: zeros, nonce: nonce).hex
                == "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919")
    }

    @Test func aFailedTagLeavesNoPlaintext() throws {
        let key = [UInt8](repeating: 3, count: 32)
        let nonce = [UInt8](repeating: 4, count: 12)
        var sealed = try seal([UInt8](repeating: 5, count: 40), key: key, nonce: nonce)
        sealed[55] ^= 1
        let context = try AESGCM(.open)
        try key.withUnsafeBytes { try context.setKey($0) }
        var opened = [UInt8](repeating: 0xEE, count: 40)
        let isAuthentic = try sealed.withUnsafeBytes { sealed in
            try nonce.withUnsafeBytes { nonce in
                try opened.withUnsafeMutableBytes {
                    try context.open(sealed, nonce: #require(nonce.baseAddress), to: #require($0.baseAddress))
                }
            }
        }
        #expect(!isAuthentic)
        #expect(opened == [UInt8](repeating: 0, count: 40))
        #expect(ERR_peek_error() == 0)
    }

    @Test func whatOpenSSLDoesNotOfferIsAnErrorAndLeavesTheQueueEmpty() {
        let error = #expect(throws: EnvelopeError.self) { try AESGCM(.seal, cipher: "AES-257-GCM") }
        #expect(error?.code == .cryptoUnavailable)
        #expect(ERR_peek_error() == 0)
    }

    @Test func noncesAreHandedOutOnce() throws {
        let pool = NoncePool(capacity: 7)
        var seen: Set<[UInt8]> = []
        for _ in 0..<1000 {
            seen.insert(Array(UnsafeRawBufferPointer(start: try pool.next(), count: 12)))
        }
        #expect(seen.count == 1000)
    }

    /// FIPS 180-4's example and RFC 4231's test case 2; the HMAC under an empty key is Python's
    /// `hmac.new(b"", b"x", "sha256")`.
    @Test func digests() throws {
        #expect(
            try Digest.sha256(Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            try Digest.sha256([]).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        let code = try Array("Jefe".utf8).withUnsafeBytes { key in
            try Digest.hmacSHA256(key: key, Array("what do ya want for nothing?".utf8))
        }
        #expect(code.hex == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let empty = try Digest.hmacSHA256(key: UnsafeRawBufferPointer(start: nil, count: 0), Array("x".utf8))
        #expect(empty.hex == "4cbc96099a6467ce002461f10549b4898265ebe6188b45efacc44293516e62c4")
        #expect(Digest.areEqual(code, code))
        #expect(!Digest.areEqual(code, Array(code.dropLast())))
        #expect(!Digest.areEqual(code, code.map { $0 ^ 1 }))
        #expect(Digest.areEqual([], []))
    }
}
