// faultdisk.h - a disk that remembers: every write and sync of SQLite, and what a power cut after any of them leaves.
#pragma once
#include <stdint.h>

/// Puts itself between SQLite and its files, for every connection opened from now on. Returns 0, or -1.
int fault_disk_install(void);

enum { FAULT_DISK_READ = 1, FAULT_DISK_WRITE = 2, FAULT_DISK_SYNC = 4 };

/// Of the calls of these kinds that this thread makes now `after` succeed, then `times` fail with a code of SQLite's;
/// the next succeed again. What a sync that fails should have written never reaches the disk, unless it is written again;
/// of the files of `fault_disk_begin` every other open one fails its next sync as well, which does its work.
void fault_disk_fail(int kinds, int after, int times, int code);

/// No call of this thread fails any more. Returns how many did since `fault_disk_fail`.
int fault_disk_heal(void);

/// Installs itself, and remembers what happens to the database `path` and its -wal; their contents now count as synced.
/// Returns 0, or -1.
int fault_disk_begin(const char *path);

/// Remembers that so many puts and so many finished jobs were acknowledged.
void fault_disk_acknowledge(int64_t puts, int64_t done);

/// From now on the syncs of the log do nothing: what synchronous=NORMAL does. To see that a rig notices.
void fault_disk_forget_log_syncs(void);

/// Stops remembering.
void fault_disk_end(void);

/// Cuts the power after each remembered event, `images` times with other luck, and writes what the disk then holds to
/// `out` and `out`-wal: what was synced, and of the rest any 512-byte sectors. Calls `check` for each with what was
/// acknowledged by then; it returns 0 to go on. Returns how many cuts there were.
long fault_disk_each_cut(
    const char *out, int images, uint64_t seed, int (*check)(void *context, int64_t puts, int64_t done), void *context);
