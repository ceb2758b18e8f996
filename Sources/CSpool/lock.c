// lock.c - byte locks of open file descriptions: the kernel drops them when their holder dies, so they tell who lives.
#define _GNU_SOURCE
#include "cspool.h"
#include <fcntl.h>
#include <unistd.h>

int spool_lock_byte(int fd, int64_t offset, int type) {
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

static int range_is_locked(int fd, int64_t offset, int64_t length) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = length};
    if (fcntl(fd, F_OFD_GETLK, &lock)) return -1;
    return lock.l_type != F_UNLCK;
}

int spool_byte_is_locked(int fd, int64_t offset) { return range_is_locked(fd, offset, 1); }

int spool_any_byte_is_locked(int fd) { return range_is_locked(fd, 0, 0); }
