// csinglestep.h - runs a thread of a child one instruction at a time, and kills it after so many. See ptrace(2).
#pragma once
#include <sys/types.h>

/// In the child: lets its parent trace the calling thread, which stops here. `thread` gets its number before.
void single_step_begin(long *thread);

/// In the child, when it has done what is to be stepped through: stops again.
void single_step_end(void);

/// In the parent: runs `count` instructions of the stopped thread, at most to its end mark. Returns how many ran, or
/// -errno.
long single_step_run(pid_t thread, long count);

/// In the parent, when it has killed the child: takes the news of the thread's end, which hold up that of the process.
void single_step_forget(pid_t thread);
