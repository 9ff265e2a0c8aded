import CLinux
import Envelope
import Glibc
import Logging
import Synchronization

/// Keeps this process's memory, which holds keys, out of core dumps, of swap and of other processes of the same user.
enum ProcessHardening {
    /// The program's first act: what OpenSSL has allocated before stays where it is.
    static func begin() {
        guard SecretMemory.takeOverOpenSSL() else {
            Console.shared.writeLine("error: OpenSSL was in use before its memory could be protected")
            Glibc.exit(1)
        }
        var limit = rlimit()
        if getrlimit(memlock, &limit) == 0, limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            setrlimit(memlock, &limit)
        }
    }

    /// For the commands that hold keys.
    static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        _ = reencrypt_set_dumpable(0)
    }

    /// Says once that keys may be swapped out, where that is so. Called when they are in use, and now and then.
    static func logUnlockedMemory(to logger: Logger) {
        guard !SecretMemory.usage.isLocked else { return }
        let isFirst = hasWarned.withLock { hasWarned in
            defer { hasWarned = true }
            return !hasWarned
        }
        guard isFirst else { return }
        logger.warning(
            "Not all memory for keys could be locked: where there is swap, they may be written to it. Raise the limit of locked memory (ulimit -l, LimitMEMLOCK=)"
        )
    }

    private static let hasWarned = Mutex(false)
    private static let memlock = __rlimit_resource_t(__RLIMIT_MEMLOCK.rawValue)
}
