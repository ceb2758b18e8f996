// thread.c - what Glibc's Swift module leaves out of threads.
#define _GNU_SOURCE
#include "cspool.h"
#include <sys/prctl.h>
#include <unistd.h>

void spool_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

pid_t spool_thread_id(void) { return gettid(); }
