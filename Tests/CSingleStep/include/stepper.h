// stepper.h - runs another process one instruction at a time, and kills it at a chosen one.
#pragma once
#include <sys/types.h>

/// In the process to be stepped: stops until its parent steps it.
void stepper_stop(void);

/// Lets a stopped child run so many instructions and kills it. Returns 0 when it was killed, or how many it had run
/// when it ended by itself before.
long stepper_kill(pid_t child, long instructions);

/// Has the calling process killed when its parent's thread ends. See prctl(2), PR_SET_PDEATHSIG.
void stepper_die_with_parent(void);
