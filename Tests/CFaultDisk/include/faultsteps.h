// faultsteps.h - a VFS of SQLite that asks before each call what shall become of it, and memory that runs out.
#pragma once
#include <stdint.h>

/// The calls of SQLite's VFS, as sqlite.org/c3ref/io_methods.html names them.
enum fault_call {
    FAULT_OPEN, FAULT_DELETE, FAULT_ACCESS, FAULT_CLOSE, FAULT_READ, FAULT_WRITE, FAULT_TRUNCATE, FAULT_SYNC,
    FAULT_SIZE, FAULT_LOCK, FAULT_UNLOCK, FAULT_SHM_MAP, FAULT_SHM_LOCK, FAULT_SHM_UNLOCK, FAULT_SHM_BARRIER,
    FAULT_SHM_UNMAP, FAULT_FETCH, FAULT_UNFETCH
};

/// Before each call: 0 lets it pass, a result code of SQLite is returned instead of making it, and minus
/// such a code makes it and returns the code all the same. `is_log` tells the -wal from other files. It may
/// use other connections: the calls that those make ask as well.
typedef int (*fault_step)(void *context, int call, int is_log);

/// Puts itself between SQLite and its files, for every connection opened from now on. Returns 0, or -1.
/// `alone`: nobody outside this thread is waited for, so that no pause takes any time.
int fault_steps_begin(fault_step step, void *context, int alone);

/// Lets SQLite allocate through a counter. Before the first use of SQLite in a process. Returns 0, or -1.
int fault_memory_begin(void);

/// Fails the n-th allocation from now on (1 is the next), or all from there on; 0 fails none. Counts from 0 again.
void fault_memory_fail(int64_t nth, int forever);

/// Allocations since the last fault_memory_fail.
int64_t fault_memory_count(void);
