import COpenSSL

/// OpenSSL's error queue. It belongs to the thread: it is emptied before each call whose failure is to be
/// explained, and read in the same synchronous frame.
enum OpenSSLFailure {
    static func clear() {
        ERR_clear_error()
    }

    /// The reason of the oldest error, and an empty queue.
    static func drain() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return "no reason given" }
        guard let reason = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: reason)
    }
}
