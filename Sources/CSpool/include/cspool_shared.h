// cspool_shared.h - memory that processes share, and the lock in it that outlives its owner.
//
// Functions return 0 or a useful number, or a negated errno, unless they say otherwise.
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// An unnamed file in memory of so many zero bytes, all of them there: touching them never fails later. Its size is
/// sealed. Close-on-exec. Returns the descriptor.
int spool_shared_memory(const char *name, size_t bytes);

/// Bytes of the file behind the descriptor; -EINVAL when it is no memory file whose size is sealed.
int64_t spool_shared_memory_size(int descriptor);

/// Makes the lock in shared memory: process-shared and robust. See pthread_mutexattr_setrobust(3).
int spool_robust_init(pthread_mutex_t *mutex);

/// Takes the lock, waiting until this moment of CLOCK_MONOTONIC in nanoseconds.
/// -EOWNERDEAD: taken, and its last owner died with it. -ETIMEDOUT: not taken.
int spool_robust_lock(pthread_mutex_t *mutex, uint64_t deadline);

/// The same if nobody holds it; -EBUSY else.
static inline int spool_robust_try(pthread_mutex_t *mutex) { return -pthread_mutex_trylock(mutex); }

/// How often this process was forked since its program began: another number is another process.
extern uint32_t spool_fork_count;
static inline uint32_t spool_generation(void) { return spool_fork_count; }

/// When the process began, in ticks since the system did: with its id it is a name that is never given twice. 0 when
/// it cannot be told. See proc(5), /proc/PID/stat, field 22.
uint64_t spool_process_start(pid_t pid);

/// Whether the process still runs; one that has ended and was not reaped does not. 1 also when that cannot be told, as
/// descriptors are short. Another process that was given its number later counts as it: compare their starts.
int spool_process_lives(pid_t pid);
