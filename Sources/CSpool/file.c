// file.c - what Glibc's Swift module leaves out of files.
#define _GNU_SOURCE
#include "cspool.h"
#include <stdio.h>

int spool_rename_new(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}
