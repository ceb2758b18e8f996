// cspool.h - what Swift on Linux cannot call by itself: headers that are not in the Glibc module, and a few wrappers.
#pragma once
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>

#include "cspool_process.h"

/// Takes (type F_WRLCK) or drops (F_UNLCK) the lock on one byte, owned by the open file description: it ends with the
/// last copy of the descriptor, however its process dies. Returns 0, or -1 with errno. See fcntl(2), F_OFD_SETLK.
int spool_lock_byte(int fd, int64_t offset, int type);

/// 1 if another open file description holds the byte, 0 if nobody does, -1 with errno.
int spool_byte_is_locked(int fd, int64_t offset);

/// Names the calling thread for ps and debuggers; 15 bytes are kept. See prctl(2), PR_SET_NAME.
void spool_name_thread(const char *name);

/// Sleeps while the 32 bits at `word` are `seen`, at most until `deadline` (nanoseconds of CLOCK_MONOTONIC; UINT64_MAX
/// never comes). May return early: look again. Threads of one process only. See futex(2).
void spool_futex_wait(const void *word, uint32_t seen, uint64_t deadline);

/// Wakes one thread that sleeps on `word`.
void spool_futex_wake(const void *word);
