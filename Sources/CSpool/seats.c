// seats.c - who lives among the threads that share memory, as the kernel tells it; sleeping on several words.
#define _GNU_SOURCE
#include "cspool_seats.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

_Static_assert(sizeof(pthread_mutex_t) <= 40, "a life has 40 bytes in its seat");

int spool_life_take(void *at) {
    int status = pthread_mutex_trylock(at);
    if (status == EOWNERDEAD) pthread_mutex_consistent(at);
    return status;
}

void spool_life_leave(void *at) { pthread_mutex_unlock(at); }

uint32_t spool_life_watch(void *at) {
    uint32_t *word = spool_life_word(at), seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    while (seen & FUTEX_TID_MASK && !(seen & FUTEX_OWNER_DIED)) {
        uint32_t marked = seen | FUTEX_WAITERS;
        if (seen == marked
            || __atomic_compare_exchange_n(word, &seen, marked, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return marked;
    }
    return 0;
}

// For kernels without futex_waitv: the other words are looked at soon.
static void sleep_on_first(const struct spool_watch *watch) {
    struct timespec limit = {0, 2000000};
    syscall(SYS_futex, watch->word, FUTEX_WAIT, watch->value, &limit, NULL, 0);
}

void spool_sleep_on_any(const struct spool_watch *watches, int count, uint64_t deadline) {
    struct futex_waitv each[FUTEX_WAITV_MAX];
    if (count > FUTEX_WAITV_MAX) count = FUTEX_WAITV_MAX;
    for (int i = 0; i < count; i++)
        each[i] = (struct futex_waitv){
            .val = watches[i].value, .uaddr = (uintptr_t)watches[i].word, .flags = FUTEX_32};
    struct timespec limit = {(time_t)(deadline / 1000000000), (long)(deadline % 1000000000)};
    if (syscall(SYS_futex_waitv, each, count, 0, &limit, CLOCK_MONOTONIC) < 0 && errno == ENOSYS)
        sleep_on_first(watches);
}

__thread struct spool_seat_note spool_seat_notes[SPOOL_SEAT_NOTES];

void spool_seat_note(uint64_t place, uint32_t name) {
    spool_seat_notes[place % SPOOL_SEAT_NOTES] = (struct spool_seat_note){place, name};
}

static uint32_t token;

static void be_another(void) {
    memset(spool_seat_notes, 0, sizeof spool_seat_notes);
    while (getrandom(&token, sizeof token, 0) != sizeof token || !token) {}
}

__attribute__((constructor)) static void begin(void) {
    be_another();
    pthread_atfork(NULL, NULL, be_another);
}

uint32_t spool_process_token(void) { return token; }
