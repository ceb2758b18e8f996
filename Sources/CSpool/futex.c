// futex.c - sleeping on a word of memory. See futex(2).
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int wait_on(uint32_t *word, int operation, uint32_t expected, int64_t nanoseconds) {
    struct timespec limit = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    long status = syscall(SYS_futex, word, operation, expected, nanoseconds < 0 ? NULL : &limit, NULL, 0);
    return status < 0 && errno == ETIMEDOUT ? 0 : 1;
}

int spool_futex_wait(uint32_t *word, uint32_t expected, int64_t nanoseconds) {
    return wait_on(word, FUTEX_WAIT_PRIVATE, expected, nanoseconds);
}

void spool_futex_wake(uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int spool_shared_futex_wait(uint32_t *word, uint32_t expected, int64_t nanoseconds) {
    return wait_on(word, FUTEX_WAIT, expected, nanoseconds);
}

void spool_shared_futex_wake(uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}
