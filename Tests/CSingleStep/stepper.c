// stepper.c - see ptrace(2), PTRACE_SINGLESTEP.
#include "stepper.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

void stepper_stop(void) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
}

long stepper_kill(pid_t child, long instructions) {
    int status;
    waitpid(child, &status, 0);
    for (long step = 0; step < instructions; step++) {
        ptrace(PTRACE_SINGLESTEP, child, 0, 0);
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status)) return step + 1;
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return 0;
}

void stepper_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }
