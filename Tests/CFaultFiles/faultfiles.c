// faultfiles.c - stands before the C library's calls that change files, and writes down what they do in one directory.
//
// The symbols of a program come before those of its libraries (ld.so(8)): what is called here `open` or `pwrite64` is
// called by SQLite, too. What is written through mapped memory is not seen. For one thread at a time.
#define _GNU_SOURCE
#include "faultfiles.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct fault_file_event *events;
static long event_count, event_room, begun;
static int recording;
static char top[PATH_MAX];

// Which number a file has: the newest of its device and inode, as the system uses those of removed files again.
struct known {
    dev_t device;
    ino_t inode;
};
static struct known *known;
static int known_count, known_room;

static int number_of(const struct stat *status, int is_new) {
    for (int i = known_count; i > 0 && !is_new; i--)
        if (known[i - 1].inode == status->st_ino && known[i - 1].device == status->st_dev) return i;
    if (!is_new) return 0;
    if (known_count == known_room) {
        known_room = known_room ? known_room * 2 : 64;
        known = realloc(known, known_room * sizeof *known);
    }
    known[known_count] = (struct known){status->st_dev, status->st_ino};
    return ++known_count;
}

static struct fault_file_event *remember(enum fault_file_kind kind, int file, const struct stat *status) {
    if (event_count == event_room) {
        event_room = event_room ? event_room * 2 : 1024;
        events = realloc(events, event_room * sizeof *events);
    }
    struct fault_file_event *event = &events[event_count++];
    memset(event, 0, sizeof *event);
    event->kind = kind;
    event->file = file;
    event->is_directory = status && S_ISDIR(status->st_mode);
    return event;
}

static int is_watched(const char *path) {
    size_t length = strlen(top);
    return recording && path && !strncmp(path, top, length) && path[length] == '/';
}

static struct fault_file_name name_of(const char *path) {
    struct fault_file_name name = {0, ""};
    char above[PATH_MAX];
    struct stat status;
    const char *last = strrchr(path, '/');
    if (!last) return name;
    snprintf(above, sizeof above, "%.*s", (int)(last - path), path);
    if (stat(above, &status)) return name;
    name.directory = number_of(&status, 0);
    snprintf(name.text, sizeof name.text, "%s", last + 1);
    return name;
}

static void remember_name(const char *path, int file, const struct stat *status, const char *left) {
    struct fault_file_name old = {0, ""};
    if (left) old = name_of(left);
    struct fault_file_event *event = remember(FAULT_FILE_NAME, file, status);
    event->name = name_of(path);
    event->left = old;
}

static void remember_bytes(int file, int64_t offset, int64_t count, const void *bytes) {
    struct fault_file_event *event = remember(FAULT_FILE_WRITE, file, NULL);
    event->offset = offset;
    event->count = count;
    event->bytes = memcpy(malloc(count ? count : 1), bytes, count);
}

// What stands there at first.

static void read_all(const char *path, int file) {
    int descriptor = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    static unsigned char buffer[1 << 16];
    ssize_t count;
    for (int64_t offset = 0; (count = read(descriptor, buffer, sizeof buffer)) > 0; offset += count)
        remember_bytes(file, offset, count, buffer);
    close(descriptor);
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *place) {
    int file = number_of(status, 1);
    if (place->level > 0) remember_name(path, file, status, NULL);
    if (type == FTW_F) read_all(path, file);
    return 0;
}

int fault_files_begin(const char *directory) {
    for (long i = 0; i < event_count; i++) free((void *)events[i].bytes);
    event_count = known_count = recording = 0;
    snprintf(top, sizeof top, "%s", directory);
    if (nftw(top, visit, 8, FTW_PHYS)) return -1;
    begun = event_count;
    recording = 1;
    return 0;
}

long fault_files_begun(void) { return begun; }

void fault_files_acknowledge(int64_t made, int64_t puts) {
    struct fault_file_event *event = remember(FAULT_FILE_ACKNOWLEDGE, 0, NULL);
    event->offset = made;
    event->count = puts;
}

long fault_files_end(void) {
    recording = 0;
    return event_count;
}

const struct fault_file_event *fault_files_event(long number) { return &events[number]; }

// The calls.

static int opened(const char *path, int flags, mode_t mode) {
    struct stat status;
    int is_new = is_watched(path) && flags & O_CREAT && lstat(path, &status) && errno == ENOENT;
    int descriptor = syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
    int number = errno;
    if (descriptor >= 0 && is_watched(path) && !fstat(descriptor, &status)) {
        if (is_new) remember_name(path, number_of(&status, 1), &status, NULL);
        else if (flags & O_TRUNC) remember(FAULT_FILE_SIZE, number_of(&status, 0), &status);
    }
    errno = number;
    return descriptor;
}

#define OPENED(path, flags) \
    va_list more; \
    va_start(more, flags); \
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return opened(path, flags, mode)
int open(const char *path, int flags, ...) { OPENED(path, flags); }
int open64(const char *path, int flags, ...) { OPENED(path, flags); }

int mkdir(const char *path, mode_t mode) {
    if (syscall(SYS_mkdirat, AT_FDCWD, path, mode)) return -1;
    struct stat status;
    if (is_watched(path) && !lstat(path, &status)) remember_name(path, number_of(&status, 1), &status, NULL);
    return 0;
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned flags) {
    if (syscall(SYS_renameat2, from_directory, from, to_directory, to, flags)) return -1;
    struct stat status;
    if (is_watched(to) && !lstat(to, &status)) remember_name(to, number_of(&status, 0), &status, from);
    return 0;
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlink(const char *path) {
    if (syscall(SYS_unlinkat, AT_FDCWD, path, 0)) return -1;
    if (is_watched(path)) remember_name(path, 0, NULL, NULL);
    return 0;
}

static int watched(int descriptor, struct stat *status) {
    return recording && !fstat(descriptor, status) ? number_of(status, 0) : 0;
}

static ssize_t written(int descriptor, const void *bytes, ssize_t count, off_t offset) {
    struct stat status;
    int number = errno, file = count > 0 ? watched(descriptor, &status) : 0;
    if (file) remember_bytes(file, offset, count, bytes);
    errno = number;
    return count;
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    return written(descriptor, bytes, syscall(SYS_pwrite64, descriptor, bytes, count, offset), offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t offset) {
    return pwrite(descriptor, bytes, count, offset);
}
ssize_t write(int descriptor, const void *bytes, size_t count) {
    off_t offset = recording ? lseek(descriptor, 0, SEEK_CUR) : 0;
    return written(descriptor, bytes, syscall(SYS_write, descriptor, bytes, count), offset);
}

static int sized(int descriptor, int status_of_call) {
    struct stat status;
    int number = errno, file = status_of_call ? 0 : watched(descriptor, &status);
    if (file) remember(FAULT_FILE_SIZE, file, &status)->offset = status.st_size;
    errno = number;
    return status_of_call;
}
int ftruncate(int descriptor, off_t size) { return sized(descriptor, syscall(SYS_ftruncate, descriptor, size)); }
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
    return sized(descriptor, syscall(SYS_fallocate, descriptor, mode, offset, size));
}

static int synced(int descriptor, int status_of_call) {
    struct stat status;
    int number = errno, file = status_of_call ? 0 : watched(descriptor, &status);
    if (file) remember(FAULT_FILE_SYNC, file, &status);
    errno = number;
    return status_of_call;
}
int fsync(int descriptor) { return synced(descriptor, syscall(SYS_fsync, descriptor)); }
int fdatasync(int descriptor) { return synced(descriptor, syscall(SYS_fdatasync, descriptor)); }
