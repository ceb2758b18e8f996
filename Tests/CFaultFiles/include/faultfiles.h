// faultfiles.h - a record of all that this program does to the files of one directory: names, contents and syncs.
//
// Files and directories are called by a number, the first of them, 1, is the directory that is watched.
#pragma once
#include <stdint.h>

enum fault_file_kind {
    FAULT_FILE_NAME, FAULT_FILE_WRITE, FAULT_FILE_SIZE, FAULT_FILE_SYNC, FAULT_FILE_ACKNOWLEDGE,
};

/// A name in a directory.
struct fault_file_name {
    int32_t directory; // 0: there is none
    char text[128];
};

struct fault_file_event {
    enum fault_file_kind kind;
    /// What was written, sized or synced, or what has `name` from now on; 0: nothing has it any more.
    int32_t file;
    int32_t is_directory;
    struct fault_file_name name;
    /// What it was called before, in the same step.
    struct fault_file_name left;
    /// Of a write; the size; what was acknowledged.
    int64_t offset, count;
    const unsigned char *bytes;
};

/// Forgets an earlier record and begins with what stands in `directory`, whose path is without symbolic links.
/// Returns 0, or -1.
int fault_files_begin(const char *directory);

/// How many events there are of what stood there at first.
long fault_files_begun(void);

/// Writes down that something was promised to somebody.
void fault_files_acknowledge(int64_t made, int64_t puts);

/// Writes down nothing more. Returns how many events there are.
long fault_files_end(void);

/// One of them.
const struct fault_file_event *fault_files_event(long number);
