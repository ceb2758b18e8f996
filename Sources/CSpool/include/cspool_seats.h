// cspool_seats.h - who lives among the threads that share memory, as the kernel tells it; sleeping on several words.
#pragma once
#include <stdint.h>

// A life is a robust lock (spool_robust_init) that a thread holds as long as it lives.

/// Takes the life at `at` for the calling thread: 0 it was free, EOWNERDEAD its holder died holding it, EBUSY its
/// holder lives.
int spool_life_take(void *at);

/// Gives it up. Only the thread that took it.
void spool_life_leave(void *at);

/// FUTEX_OWNER_DIED: set in the word of a life when its thread died.
enum { SPOOL_OWNER_DIED = 0x40000000 };

/// Its word, as set_robust_list(2) has it: the thread's id, or FUTEX_OWNER_DIED.
static inline uint32_t *spool_life_word(void *at) { return (uint32_t *)at; }

/// Asks the kernel to wake one who sleeps on the word when the holder dies. Returns the word to sleep on; 0 when there
/// is no living holder.
uint32_t spool_life_watch(void *at);

/// One word to sleep on while it has this value.
struct spool_watch {
    uint32_t *word;
    uint32_t value;
};

/// Sleeps until one of the words (at most 128, in shared memory) is woken or has another value, or CLOCK_MONOTONIC has
/// reached `deadline` in nanoseconds. See futex_waitv(2); kernels before 5.16 sleep 2 ms at most. Look again at all.
void spool_sleep_on_any(const struct spool_watch *watches, int count, uint64_t deadline);

/// A random number for this process, another one after each fork. Never 0.
uint32_t spool_process_token(void);

/// The calling thread's note of its seat at the place with this number: 0 if it has none. Forgotten after a fork.
static inline uint32_t spool_seat_noted(uint64_t place);
void spool_seat_note(uint64_t place, uint32_t name);

struct spool_seat_note {
    uint64_t place;
    uint32_t name;
};
enum { SPOOL_SEAT_NOTES = 8 };
extern __thread struct spool_seat_note spool_seat_notes[SPOOL_SEAT_NOTES];

static inline uint32_t spool_seat_noted(uint64_t place) {
    struct spool_seat_note *note = &spool_seat_notes[place % SPOOL_SEAT_NOTES];
    return note->place == place ? note->name : 0;
}
