// futex.c - sleeping on a word of memory until somebody changes it; the Glibc module has no futex.
#define _GNU_SOURCE
#include "cspool.h"
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void spool_futex_wait(const void *word, uint32_t seen, uint64_t deadline) {
    struct timespec time = {.tv_sec = (time_t)(deadline / 1000000000), .tv_nsec = (long)(deadline % 1000000000)};
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, deadline == UINT64_MAX ? NULL : &time, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

void spool_futex_wake(const void *word) { syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1); }
