// singlestep.c - runs a thread of a child one instruction at a time, and kills it after so many. See ptrace(2).
#define _GNU_SOURCE
#include "csinglestep.h"
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void stop_here(int signal) { syscall(SYS_tgkill, getpid(), gettid(), signal); }

void single_step_begin(long *thread) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    __atomic_store_n(thread, gettid(), __ATOMIC_SEQ_CST);
    stop_here(SIGSTOP);
}

void single_step_end(void) { stop_here(SIGUSR1); }

long single_step_run(pid_t thread, long count) {
    int status;
    if (waitpid(thread, &status, __WALL) < 0) return -errno;
    for (long done = 0; done < count; done++) {
        if (ptrace(PTRACE_SINGLESTEP, thread, NULL, NULL) < 0) return -errno;
        if (waitpid(thread, &status, __WALL) < 0) return -errno;
        if (!WIFSTOPPED(status)) return -ECHILD;
        if (WSTOPSIG(status) == SIGUSR1) return done;
    }
    return count;
}

void single_step_forget(pid_t thread) {
    int status;
    while (waitpid(thread, &status, __WALL) >= 0 && WIFSTOPPED(status)) {}
}
