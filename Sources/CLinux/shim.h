// What Swift cannot import of Linux by itself: prctl is variadic.
#pragma once
#include <sys/prctl.h>

/// 1: this process may be dumped and traced by its user; 0: not.
static inline int reencrypt_set_dumpable(int dumpable) {
    return prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
}
