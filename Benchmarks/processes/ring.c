// ring.c - one process puts into a ring in shared memory, another takes out: no lock, no wake-up, no joining, nobody may
// die. The floor under every queue between processes.
//
//     cc -O2 ring.c && ./a.out BYTES COUNT
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { slots = 1024 };

struct ring {
    _Alignas(128) _Atomic uint64_t head;
    _Alignas(128) _Atomic uint64_t tail;
    _Alignas(128) char items[];
};

static void wait_for(_Atomic uint64_t *word, uint64_t other, uint64_t not) {
    for (int look = 0; atomic_load_explicit(word, memory_order_acquire) - other == not; look++)
        if (look % 100 == 99) sched_yield();
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int words, char **word) {
    if (words < 3) return 1;
    size_t bytes = (size_t)atol(word[1]);
    uint64_t count = (uint64_t)atol(word[2]);
    struct ring *ring = mmap(NULL, sizeof *ring + slots * bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *item = malloc(bytes);
    if (ring == MAP_FAILED || !item) return 1;
    memset(ring->items, 0, slots * bytes);
    memset(item, 7, bytes);
    double begin = now();
    pid_t consumer = fork();
    if (!consumer) {
        for (uint64_t index = 0; index < count; index++) {
            wait_for(&ring->tail, index, 0);
            memcpy(item, ring->items + index % slots * bytes, bytes);
            __asm__ volatile("" : : "r"(item) : "memory");
            atomic_store_explicit(&ring->head, index + 1, memory_order_release);
        }
        _exit(0);
    }
    for (uint64_t index = 0; index < count; index++) {
        for (int look = 0; index - atomic_load_explicit(&ring->head, memory_order_acquire) == slots; look++)
            if (look % 100 == 99) sched_yield();
        memcpy(ring->items + index % slots * bytes, item, bytes);
        atomic_store_explicit(&ring->tail, index + 1, memory_order_release);
    }
    waitpid(consumer, NULL, 0);
    printf("{\"items\":%lu,\"seconds\":%.9f}\n", (unsigned long)count, now() - begin);
}
