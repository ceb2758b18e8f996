// file.c - what Glibc's Swift module leaves out of files.
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/vfs.h>

int spool_rename_new(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int64_t spool_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) ? -errno : (int64_t)(uint32_t)status.f_type;
}

void spool_start_writing(int descriptor) { sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE); }
