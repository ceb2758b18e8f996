// file.c - what Glibc's Swift module leaves out of files.
#define _GNU_SOURCE
#include "cspool.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

int spool_rename_new(const char *from, const char *to) {
    if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE)) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    if (!faccessat(AT_FDCWD, to, F_OK, AT_SYMLINK_NOFOLLOW)) errno = EEXIST;
    return errno == ENOENT ? rename(from, to) : -1;
}

int spool_tell_file(const char *path, uint64_t *number, uint64_t *born) {
    struct statx status;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &status)) return -1;
    *number = status.stx_ino;
    *born = status.stx_mask & STATX_BTIME
                ? (uint64_t)status.stx_btime.tv_sec * 1000000000 + status.stx_btime.tv_nsec
                : 0;
    return 0;
}

int spool_has_room(size_t bytes) {
    void *room = malloc(bytes);
    // Somebody may look at it: else the compiler leaves it out, as it is freed unused.
    __asm__ volatile("" : : "r"(room) : "memory");
    free(room);
    return room != NULL;
}

int64_t spool_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) ? -errno : (int64_t)(uint32_t)status.f_type;
}

int spool_is_mount(const char *path) {
    struct statx status;
    return !statx(AT_FDCWD, path, 0, 0, &status) && (status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void spool_start_writing(int descriptor) { sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE); }

int spool_fill_holes(int descriptor, int64_t bytes) {
    int status;
    while ((status = fallocate(descriptor, 0, 0, bytes)) && errno == EINTR) {}
    return status && errno == EOPNOTSUPP ? 0 : status;
}

// Kernels before 5.9 have no close_range(2), before 5.11 not its flag, and an old sandbox refuses it.
static void close_all(int first, unsigned flags) {
    if (!syscall(SYS_close_range, first, ~0u, flags)) return;
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    char entries[2048] __attribute__((aligned(8)));
    long count;
    while ((count = syscall(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
        struct dirent64 *entry;
        for (long at = 0; at < count; at += entry->d_reclen) {
            entry = (struct dirent64 *)(entries + at);
            int number = 0;
            for (const char *digit = entry->d_name; *digit >= '0' && *digit <= '9'; digit++)
                number = 10 * number + *digit - '0';
            if (number < first || number == directory) continue;
            if (flags & CLOSE_RANGE_CLOEXEC) fcntl(number, F_SETFD, FD_CLOEXEC);
            else close(number);
        }
    }
    close(directory);
}

void spool_close_from(int first) { close_all(first, 0); }

void spool_close_at_exec(int first) { close_all(first, CLOSE_RANGE_CLOEXEC); }

/// Descriptors that are kept from children. Whoever forks waits until one that was opened stands here, and one that
/// does not stand here any more is closed.
static int *kept;
static size_t kept_count, kept_room;
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER;

static void stop_keeping(void) { pthread_mutex_lock(&keeping); }
static void go_on_keeping(void) { pthread_mutex_unlock(&keeping); }

static int has_room(void) {
    if (kept_count < kept_room) return 1;
    size_t room = kept_room ? 2 * kept_room : 64;
    int *larger = realloc(kept, room * sizeof *kept);
    if (!larger) return 0;
    kept = larger;
    kept_room = room;
    return 1;
}

int spool_open_kept(const char *path, int flags, mode_t mode) {
    stop_keeping();
    int descriptor = has_room() ? open(path, flags, mode) : -1;
    if (descriptor >= 0) kept[kept_count++] = descriptor;
    go_on_keeping();
    return descriptor;
}

void spool_close_kept(int descriptor) {
    stop_keeping();
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i] == descriptor) {
            kept[i] = kept[--kept_count];
            break;
        }
    close(descriptor);
    go_on_keeping();
}

/// In the child. The numbers stay in use: whoever has one may still close it.
static void lose_kept(void) {
    int nothing = eventfd(0, EFD_CLOEXEC);
    for (size_t i = 0; i < kept_count; i++)
        if (nothing < 0 || dup3(nothing, kept[i], O_CLOEXEC) < 0) close(kept[i]);
    if (nothing >= 0) close(nothing);
    go_on_keeping();
}

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(stop_keeping, go_on_keeping, lose_kept); }

static int64_t longest_wait;

static _Thread_local volatile sig_atomic_t is_over;

static void interrupt(int number) {
    (void)number;
    is_over = 1;
}

void spool_bound_locks(int64_t nanoseconds) {
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    longest_wait = nanoseconds;
}

int64_t spool_longest_lock(void) { return longest_wait; }

// flock(2) has no time limit, and asking again and again would stand behind all who sleep: a signal ends the wait, and
// one more each 10 ms in case the first came before it began.
static int lock_within(int descriptor, int64_t longest) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) return -errno;
    struct itimerspec when = {{0, 10000000}, {longest / 1000000000, longest % 1000000000}};
    is_over = 0;
    timer_settime(timer, 0, &when, NULL);
    int error;
    do error = flock(descriptor, LOCK_EX) ? errno : 0;
    while (error == EINTR && !is_over);
    timer_delete(timer);
    return error == EINTR ? -ETIMEDOUT : -error;
}

int spool_lock_file(int descriptor) {
    if (!flock(descriptor, LOCK_EX | LOCK_NB)) return 0;
    if (errno == EWOULDBLOCK && longest_wait > 0) return lock_within(descriptor, longest_wait);
    while (flock(descriptor, LOCK_EX))
        if (errno != EINTR) return -errno;
    return 0;
}
