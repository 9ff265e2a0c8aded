/// The first word of an error answer, such as `READONLY`. Policies compare these, never a message's text.
package struct RedisErrorCode: Hashable, Sendable, CustomStringConvertible {
    package let word: String

    package init(_ word: String) {
        self.word = word
    }

    package var description: String { word }

    /// What has no word of its own: syntax, an unknown command, a script's own error.
    package static let general = RedisErrorCode("ERR")
    package static let readOnly = RedisErrorCode("READONLY")
    package static let loading = RedisErrorCode("LOADING")
    package static let masterDown = RedisErrorCode("MASTERDOWN")
    package static let noScript = RedisErrorCode("NOSCRIPT")
    package static let noPermission = RedisErrorCode("NOPERM")
    package static let moved = RedisErrorCode("MOVED")
    package static let ask = RedisErrorCode("ASK")

    /// Takes the code from an error answer's text. Redis 6.2 wraps an error that stopped a script into an
    /// `ERR`, with the original behind it; Redis 7 sends the original. Both give the original here.
    init(ofAnswer text: String) {
        let first = text.prefix { $0 != " " }
        guard Self.isCode(first) else {
            self = .general
            return
        }
        let outer = RedisErrorCode(String(first))
        let inner = text.hasPrefix(Self.scriptStopped) ? Self.innerCode(text) : nil
        self = inner ?? outer
    }

    private static let scriptStopped = "ERR Error running script"

    /// The first word behind the places in the script:
    /// `ERR Error running script (call to f_82…): @user_script:1: @user_script: 1: -READONLY You can't write …`,
    /// or without the hyphen where the command had begun to run.
    private static func innerCode(_ text: String) -> RedisErrorCode? {
        let words = text.split(separator: " ").dropFirst(7)
        let first = words.first { word in
            !word.hasPrefix("@user_script:") && !(word.last == ":" && Int(word.dropLast()) != nil)
        }
        guard var code = first else { return nil }
        if code.first == "-" { code.removeFirst() }
        return isCode(code) ? RedisErrorCode(String(code)) : nil
    }

    private static func isCode(_ word: Substring) -> Bool {
        (2...24).contains(word.utf8.count)
            && word.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == 0x5F }
    }

    /// The same command may succeed later, here or at another server: a server that starts, is busy with a
    /// script, is no master, has lost its replicas, its memory or its disk.
    package var isRetriable: Bool {
        switch word {
        case "LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "OOM",
            "NOREPLICAS", "UNBLOCKED", "MOVED", "ASK":
            true
        default: false
        }
    }

    /// This server cannot serve us now; the next dial may find the one that can.
    package var breaksConnection: Bool {
        self == .readOnly || self == .masterDown || self == .loading
    }

    /// The server gives this error before a script's first line, never in the middle of it.
    var precedesScript: Bool {
        switch word {
        case "NOSCRIPT", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "MOVED", "ASK", "TRYAGAIN",
            "CROSSSLOT", "NOAUTH":
            true
        default: false
        }
    }
}
