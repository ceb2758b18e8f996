// thread.c - what Glibc's Swift module leaves out of threads.
#include "cspool.h"
#include <sys/prctl.h>

void spool_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
