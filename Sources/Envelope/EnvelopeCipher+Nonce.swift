extension EnvelopeCipher {
    /// The first eight bytes of the data nonce of the value that was opened last: to find values that were
    /// copied. A nonce is public.
    package var lastNoncePrefix: UInt64 { dataNonce.start.loadUnaligned(as: UInt64.self).bigEndian }
}
