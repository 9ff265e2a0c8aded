@testable import Envelope

/// Two pairs of Ed25519 keys, made with `openssl genpkey` for these tests.
struct KeyPair {
    let signing: SignatureKey
    let checking: SignaturePublicKey

    private init(_ privateLine: String, _ publicLine: String) throws {
        let privatePEM = "-----BEGIN PRIVATE KEY-----\n\(privateLine)\n-----END PRIVATE KEY-----\n"
        let publicPEM = "-----BEGIN PUBLIC KEY-----\n\(publicLine)\n-----END PUBLIC KEY-----\n"
        signing = try SignatureKey(
            pem: SecretBytes(count: privatePEM.utf8.count) { $0.copyBytes(from: privatePEM.utf8) })
        checking = try Array(publicPEM.utf8).withUnsafeBytes { try SignaturePublicKey(pem: $0) }
    }

    static func first() throws -> KeyPair {
        try KeyPair(
            "MC4CAQAwBQYDK2VwBCIEICk6iTHn+/6KzQGuoMTxvaCfcPLZ7wp/TAaApMbo/S+K",
            "MCowBQYDK2VwAyEAxXdeP6eMdjwclPkU+79yvrLL20GLoVGzcyjx8VmPLog=")
    }

    static func second() throws -> KeyPair {
        try KeyPair(
            "MC4CAQAwBQYDK2VwBCIEIEmzzpXA0KjGBXsa+9pizVKysGFVO+b6iZB9wh9vq2Lr",
            "MCowBQYDK2VwAyEAcEOp0qcHK7xN57md5kDXrs90J+DGBoJXausTLtBKpSE=")
    }
}
