// futex.c - two processes that wake each other with nothing but a futex: the floor under every hand-off between them.
//
//     cc -O2 futex.c && ./a.out COUNT
#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct words {
    _Alignas(128) _Atomic uint32_t there;
    _Alignas(128) _Atomic uint32_t back;
};

static void ring(_Atomic uint32_t *word, uint32_t value) {
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t value) {
    uint32_t seen;
    while ((seen = atomic_load(word)) != value) syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int words, char **word) {
    long count = words > 1 ? atol(word[1]) : 100000;
    struct words *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 1;
    double begin = now();
    if (!fork()) {
        for (long round = 1; round <= count; round++) {
            await(&shared->there, (uint32_t)round);
            ring(&shared->back, (uint32_t)round);
        }
        _exit(0);
    }
    for (long round = 1; round <= count; round++) {
        ring(&shared->there, (uint32_t)round);
        await(&shared->back, (uint32_t)round);
    }
    printf("{\"items\":%ld,\"seconds\":%.9f}\n", 2 * count, now() - begin);
    wait(NULL);
}
