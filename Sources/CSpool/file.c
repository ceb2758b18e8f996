// file.c - what Glibc's Swift module leaves out of files.
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#include <unistd.h>

int spool_rename_new(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

int64_t spool_file_system(const char *path) {
    struct statfs status;
    return statfs(path, &status) ? -errno : (int64_t)(uint32_t)status.f_type;
}

void spool_start_writing(int descriptor) { sync_file_range(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE); }

/// Descriptors that are kept from children, plus one; 0 is free.
static _Atomic int kept[1024];
enum { room = sizeof kept / sizeof *kept };

void spool_keep_descriptor(int descriptor) {
    for (int i = 0; i < room; i++) {
        int nothing = 0;
        if (atomic_compare_exchange_strong(&kept[i], &nothing, descriptor + 1)) return;
    }
}

void spool_share_descriptor(int descriptor) {
    for (int i = 0; i < room; i++) {
        int it = descriptor + 1;
        if (atomic_compare_exchange_strong(&kept[i], &it, 0)) return;
    }
}

/// In the child. The numbers stay in use: whoever has one may still close it.
static void lose_kept(void) {
    int nothing = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < room; i++) {
        int it = kept[i] - 1;
        if (it < 0) continue;
        if (nothing < 0 || dup3(nothing, it, O_CLOEXEC) < 0) close(it);
    }
    if (nothing >= 0) close(nothing);
}

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, lose_kept); }
