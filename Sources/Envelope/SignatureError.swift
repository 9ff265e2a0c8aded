/// Why a key for signatures was refused, or a signature could not be made. Holds nothing of a key.
package struct SignatureError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was wrong.
    package enum Code: Hashable, Sendable {
        /// No private key in PEM (PKCS#8).
        case notAPrivateKey
        /// A private key under a password, which nobody is there to type.
        case passwordProtected
        /// No public key in PEM (SubjectPublicKeyInfo).
        case notAPublicKey
        /// A key of another algorithm than Ed25519.
        case anotherAlgorithm
        /// OpenSSL refused an operation that must succeed.
        case cryptoUnavailable
    }

    /// What was wrong.
    package let code: Code

    /// An error of `code`.
    package init(_ code: Code) { self.code = code }

    /// One sentence with the way to a right key.
    package var description: String {
        switch code {
        case .notAPrivateKey:
            "no private key in PEM; make one with `openssl genpkey -algorithm ED25519 -out FILE`"
        case .passwordProtected:
            "the private key is protected by a password; "
                + "`openssl pkey -in FILE -out NEW` writes it without one"
        case .notAPublicKey:
            "no public key in PEM; `openssl pkey -in PRIVATE -pubout -out FILE` writes one"
        case .anotherAlgorithm: "a key of another algorithm than Ed25519"
        case .cryptoUnavailable: "OpenSSL refused an operation that must succeed"
        }
    }
}
