import COpenSSL

/// OpenSSL's random generators (NIST SP 800-90A).
enum RandomBytes {
    /// Fills `bytes` with what becomes public, such as nonces.
    static func fillPublic(_ bytes: UnsafeMutableRawBufferPointer) throws(EnvelopeError) {
        try fill(bytes, from: RAND_bytes)
    }

    /// Fills `bytes` with what must stay secret. A generator of its own, so that public output says nothing
    /// of it.
    static func fillPrivate(_ bytes: UnsafeMutableRawBufferPointer) throws(EnvelopeError) {
        try fill(bytes, from: RAND_priv_bytes)
    }

    private static func fill(
        _ bytes: UnsafeMutableRawBufferPointer,
        from generator: (UnsafeMutablePointer<UInt8>?, Int32) -> Int32
    ) throws(EnvelopeError) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        guard let count = Int32(exactly: bytes.count),
            generator(start.assumingMemoryBound(to: UInt8.self), count) == 1
        else { throw .openSSLFailed() }
    }
}

extension EnvelopeError {
    /// Empties OpenSSL's error queue and says that it failed.
    ///
    /// The queue belongs to the thread: what is left in it would be read as the failure of another library's
    /// next call, TLS's for one. The module judges by return values alone and never by the queue, so it need
    /// not be empty beforehand.
    @inline(never)
    static func openSSLFailed() -> EnvelopeError {
        ERR_clear_error()
        return EnvelopeError(.cryptoUnavailable)
    }
}
