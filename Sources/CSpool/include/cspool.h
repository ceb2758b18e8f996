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

#include "cspool_message.h"
#include "cspool_process.h"
#include "cspool_seats.h"
#include "cspool_shared.h"

/// Takes (type F_WRLCK) or drops (F_UNLCK) the lock on one byte, owned by the open file description: it ends with the
/// last copy of the descriptor, however its process dies. Returns 0, or -1 with errno. See fcntl(2), F_OFD_SETLK.
int spool_lock_byte(int fd, int64_t offset, int type);

/// 1 if another open file description holds the byte, 0 if nobody does, -1 with errno.
int spool_byte_is_locked(int fd, int64_t offset);

/// 1 if another open file description holds any byte of the file, 0 if nobody does, -1 with errno.
int spool_any_byte_is_locked(int fd);

/// The number of the kind of file system that a path is on, f_type of statfs(2), or a negative errno.
int64_t spool_file_system(const char *path);

/// Whether what stands at a path is mounted there by itself. 0 also when the kernel does not say so (before 5.8).
int spool_is_mount(const char *path);

/// Whether malloc(3) has so many bytes now. Swift ends the program when there are none. Not to be written with malloc
/// and free in Swift: the optimizer leaves out both, and says that there is room.
int spool_has_room(size_t bytes);

/// open(2) of a descriptor that is kept to this process: children that are forked get one in its place that means
/// nothing, so that they do not hold its locks when we have died. No fork comes in between. See pthread_atfork(3).
int spool_open_kept(const char *path, int flags, mode_t mode);

/// close(2) of such a descriptor. No fork comes in between here either.
void spool_close_kept(int descriptor);

/// Waits for a file's flock(2). Returns 0, or a negative errno: -ETIMEDOUT if spool_bound_locks says when.
int spool_lock_file(int descriptor);

/// From now on spool_lock_file waits for so long at most. Takes SIGALRM, which interrupts it.
void spool_bound_locks(int64_t nanoseconds);

/// What was given to spool_bound_locks last, 0 if nothing was.
int64_t spool_longest_lock(void);

/// Gives so many bytes of a file their room on the disk, and leaves what stands in them. Returns 0, also where the file
/// system knows no such thing, or -1 with errno. See fallocate(2).
int spool_fill_holes(int descriptor, int64_t bytes);

/// Lets the disk begin with what was written to a file, and does not wait until it has. See sync_file_range(2).
void spool_start_writing(int descriptor);

/// A file that tells itself from every other one of its file system, also from a later one with the number of one that
/// is gone: its number, and when it was made, in nanoseconds, or 0 where nobody knows. -1 with errno. See statx(2).
int spool_tell_file(const char *path, uint64_t *number, uint64_t *born);

/// Gives a file its name in one step, and never replaces another: -1 with EEXIST then. See rename(2), RENAME_NOREPLACE.
/// Where that is not known, as on some file systems of FUSE, it looks first: nobody else may make the name meanwhile.
int spool_rename_new(const char *from, const char *to);

/// Names the calling thread for ps and debuggers; 15 bytes are kept. See prctl(2), PR_SET_NAME.
void spool_name_thread(const char *name);

/// Sleeps while the word is `expected`, at most so many nanoseconds (negative: without limit). Returns 0 when the time
/// was up; 1 otherwise: look at the word again.
int spool_futex_wait(uint32_t *word, uint32_t expected, int64_t nanoseconds);

/// Wakes up to `count` threads of this process that sleep on the word.
void spool_futex_wake(uint32_t *word, int count);

/// The same for a word that several processes have mapped, each at its own address.
int spool_shared_futex_wait(uint32_t *word, uint32_t expected, int64_t nanoseconds);
void spool_shared_futex_wake(uint32_t *word, int count);

/// The kernel's number of the calling thread. See gettid(2).
pid_t spool_thread_id(void);

/// A moment in which a thread that looks again and again leaves the core to its sibling.
static inline void spool_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static inline uint32_t spool_load_word(uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
static inline void spool_store_word(uint32_t *word, uint32_t value) {
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}
