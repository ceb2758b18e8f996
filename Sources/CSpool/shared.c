// shared.c - memory that processes share, and the lock in it that outlives its owner.
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int give_bytes(int descriptor, size_t bytes) {
    // Above this limit the kernel would end the process with SIGXFSZ instead of refusing.
    struct rlimit limit;
    if (!getrlimit(RLIMIT_FSIZE, &limit) && bytes > limit.rlim_cur) return -EFBIG;
    if (ftruncate(descriptor, bytes)) return -errno;
    int error;
    while ((error = posix_fallocate(descriptor, 0, bytes)) == EINTR) {}
    if (error) return -error;
    return fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) ? -errno : 0;
}

int spool_shared_memory(const char *name, size_t bytes) {
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    int status = give_bytes(descriptor, bytes);
    if (!status) return descriptor;
    close(descriptor);
    return status;
}

int64_t spool_shared_memory_size(int descriptor) {
    struct stat file;
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0) return -errno;
    if (!(seals & F_SEAL_SHRINK)) return -EINVAL;
    return fstat(descriptor, &file) ? -errno : file.st_size;
}

int spool_robust_init(pthread_mutex_t *mutex) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    int error = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

int spool_robust_lock(pthread_mutex_t *mutex, uint64_t deadline) {
    // Held for some hundred nanoseconds: the owner is often done before a sleeper would be asleep. Between looks some
    // microseconds pass: a lock that changes hands at each operation takes its lines of the cache along each time.
    for (int look = 0; look < 8; look++) {
        for (int pause = 0; pause < 160; pause++) spool_relax();
        int error = pthread_mutex_trylock(mutex);
        if (error != EBUSY) return -error;
    }
    struct timespec until = {deadline / 1000000000, deadline % 1000000000};
    return -pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
}

uint32_t spool_fork_count;

static void count_fork(void) { spool_fork_count++; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, count_fork); }

uint64_t spool_process_start(pid_t pid) {
    char text[1024];
    snprintf(text, sizeof text, "/proc/%d/stat", pid);
    int file = open(text, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    // The name, field 2, may hold anything but ends with the last parenthesis.
    char *field = strrchr(text, ')');
    for (int number = 2; field && number < 22; number++) field = strchr(field + 1, ' ');
    return field ? strtoull(field, NULL, 10) : 0;
}

int spool_process_lives(pid_t pid) {
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    // A zombie takes signals, so this is less exact.
    if (process < 0) return errno != ESRCH && (!kill(pid, 0) || errno != ESRCH);
    struct pollfd end = {.fd = process, .events = POLLIN};
    int has_ended = poll(&end, 1, 0) > 0;
    close(process);
    return !has_ended;
}
