import COpenSSL

/// One TLS session between two buffers in memory: what the socket received goes in, what it shall send comes
/// out. So deadlines and SIGPIPE are the socket's business alone, and OpenSSL never blocks.
final class TLSEngine {
    private let context: TLSContext
    private let ssl: OpaquePointer
    /// Ciphertext from and for the peer. Both belong to `ssl`.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer

    /// - Parameter host: the name or address that the certificate must bear.
    init(_ settings: TLSSettings, host: String) throws(RedisError) {
        let context = try TLSContext.make(settings)
        OpenSSLFailure.clear()
        guard let ssl = SSL_new(context.raw) else {
            throw RedisError(.connectionFailed, "OpenSSL: \(OpenSSLFailure.drain())")
        }
        guard let incoming = BIO_new(BIO_s_mem()), let outgoing = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw RedisError(.connectionFailed, "OpenSSL: \(OpenSSLFailure.drain())")
        }
        SSL_set_bio(ssl, incoming, outgoing)
        SSL_set_connect_state(ssl)
        self.context = context
        self.ssl = ssl
        self.incoming = incoming
        self.outgoing = outgoing
        try expect(host)
    }

    deinit {
        SSL_free(ssl)
    }

    /// Names are verified and sent as SNI; addresses are compared with the certificate's IP entries.
    private func expect(_ host: String) throws(RedisError) {
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
        OpenSSLFailure.clear()
        if isAddress { return }
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard SSL_set1_host(ssl, host) == 1, reencrypt_set_server_name(ssl, host) == 1 else {
            throw RedisError(.connectionFailed, "OpenSSL: \(OpenSSLFailure.drain())")
        }
    }

    /// Goes on with the handshake. False where it needs more from the peer.
    func handshake() throws(RedisError) -> Bool {
        OpenSSLFailure.clear()
        let status = SSL_do_handshake(ssl)
        if status == 1 { return true }
        if SSL_get_error(ssl, status) == SSL_ERROR_WANT_READ { return false }
        let reason = OpenSSLFailure.drain()
        let verdict = SSL_get_verify_result(ssl)
        if verdict != Int(X509_V_OK) {
            let text = X509_verify_cert_error_string(verdict).map { String(cString: $0) } ?? "\(verdict)"
            throw RedisError(
                .untrustedServer, "the server's certificate was refused: \(text) (see ca_file in REDIS_URL)")
        }
        throw RedisError(.connectionFailed, "the TLS handshake failed: \(reason)")
    }

    /// Plaintext that has arrived; nil where more ciphertext is needed.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RedisError) -> Int? {
        OpenSSLFailure.clear()
        let count = SSL_read(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        if count > 0 { return Int(count) }
        switch SSL_get_error(ssl, count) {
        case SSL_ERROR_WANT_READ: return nil
        case SSL_ERROR_ZERO_RETURN:
            throw RedisError(.connectionLost, "the server closed the connection")
        default:
            throw RedisError(.connectionLost, "TLS: \(OpenSSLFailure.drain())")
        }
    }

    /// Encrypts all of `buffer`, which is not empty.
    func write(_ buffer: UnsafeRawBufferPointer) throws(RedisError) {
        OpenSSLFailure.clear()
        let count = SSL_write(ssl, buffer.baseAddress, Int32(clamping: buffer.count))
        guard count == buffer.count else {
            throw RedisError(.connectionLost, "TLS: \(OpenSSLFailure.drain())")
        }
    }

    /// Takes ciphertext from the socket.
    func receive(_ ciphertext: UnsafeRawBufferPointer) throws(RedisError) {
        OpenSSLFailure.clear()
        let count = BIO_write(incoming, ciphertext.baseAddress, Int32(clamping: ciphertext.count))
        guard count == ciphertext.count else {
            throw RedisError(.connectionLost, "TLS: \(OpenSSLFailure.drain())")
        }
    }

    /// Moves ciphertext for the socket into `buffer`, as much as it holds.
    /// - Returns: how many bytes; 0 where there are none.
    func takeOutgoing(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        max(Int(BIO_read(outgoing, buffer.baseAddress, Int32(clamping: buffer.count))), 0)
    }
}
