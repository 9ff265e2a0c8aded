import COpenSSL

/// Owns an `SSL_CTX`: TLS 1.2 or newer, the peer's certificate required, our own certificate if there is one.
struct TLSContext: ~Copyable {
    let raw: OpaquePointer

    private init(takingOwnership raw: OpaquePointer) {
        self.raw = raw
    }

    /// - Throws: `invalidSettings`, naming the file that OpenSSL does not take.
    static func make(_ settings: TLSSettings) throws(RedisError) -> TLSContext {
        OpenSSLFailure.clear()
        guard let raw = SSL_CTX_new(TLS_client_method()) else {
            throw RedisError(.connectionFailed, "OpenSSL: \(OpenSSLFailure.drain())")
        }
        let context = TLSContext(takingOwnership: raw)
        guard reencrypt_require_tls_1_2(raw) == 1 else {
            throw RedisError(.connectionFailed, "OpenSSL: \(OpenSSLFailure.drain())")
        }
        _ = reencrypt_refuse_renegotiation(raw)
        SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nil)
        // Without this OpenSSL would ask for a key's passphrase on the terminal.
        SSL_CTX_set_default_passwd_cb(raw) { _, _, _, _ in 0 }
        try context.loadAuthorities(settings)
        try context.loadCertificate(settings)
        return context
    }

    deinit {
        SSL_CTX_free(raw)
    }

    private borrowing func loadAuthorities(_ settings: TLSSettings) throws(RedisError) {
        if let file = settings.authorityFile {
            guard SSL_CTX_load_verify_locations(raw, file, nil) == 1 else {
                throw Self.refused("ca_file", file)
            }
        }
        if let folder = settings.authorityFolder {
            guard SSL_CTX_load_verify_locations(raw, nil, folder) == 1 else {
                throw Self.refused("ca_dir", folder)
            }
        }
        if settings.authorityFile == nil && settings.authorityFolder == nil {
            guard SSL_CTX_set_default_verify_paths(raw) == 1 else {
                throw RedisError(
                    .invalidSettings, "the system's certificate authorities: \(OpenSSLFailure.drain())")
            }
        }
    }

    private borrowing func loadCertificate(_ settings: TLSSettings) throws(RedisError) {
        guard let file = settings.certificateFile else { return }
        guard SSL_CTX_use_certificate_chain_file(raw, file) == 1 else {
            throw Self.refused("cert_file", file)
        }
        let keyFile = settings.keyFile ?? file
        // Checks too that the key belongs to the certificate.
        guard SSL_CTX_use_PrivateKey_file(raw, keyFile, SSL_FILETYPE_PEM) == 1 else {
            throw Self.refused(settings.keyFile == nil ? "cert_file" : "key_file", keyFile)
        }
    }

    private static func refused(_ parameter: String, _ path: String) -> RedisError {
        RedisError(
            .invalidSettings,
            "\(parameter) \(path) cannot be used: \(OpenSSLFailure.drain()); "
                + "expected PEM, readable, a key without passphrase that belongs to its certificate")
    }
}
