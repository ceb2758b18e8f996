// futex.c - two threads that wake each other with nothing but a futex: the floor under every hand-off.
//
//     cc -O2 -pthread futex.c && ./a.out COUNT
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint32_t there, back;
static long count;

static void ring(_Atomic uint32_t *word, uint32_t value) {
    atomic_store(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *word, uint32_t value) {
    uint32_t seen;
    while ((seen = atomic_load(word)) != value) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void *echo(void *unused) {
    for (long round = 1; round <= count; round++) {
        await(&there, (uint32_t)round);
        ring(&back, (uint32_t)round);
    }
    return unused;
}

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int words, char **word) {
    count = words > 1 ? atol(word[1]) : 100000;
    pthread_t thread;
    double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    if (pthread_create(&thread, NULL, echo, NULL)) return 1;
    for (long round = 1; round <= count; round++) {
        ring(&there, (uint32_t)round);
        await(&back, (uint32_t)round);
    }
    pthread_join(thread, NULL);
    printf("{\"items\":%ld,\"seconds\":%.9f,\"cpu\":%.9f}\n", 2 * count, now(CLOCK_MONOTONIC) - wall,
           now(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}
