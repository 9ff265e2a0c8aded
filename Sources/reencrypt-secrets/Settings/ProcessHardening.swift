import CLinux
import Glibc

/// Keeps this process's memory, which holds keys, out of core dumps and of other processes of the same user.
enum ProcessHardening {
    static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        _ = reencrypt_set_dumpable(0)
    }
}
