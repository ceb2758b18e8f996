// faultsteps.c - a VFS that passes on what it is told to, and an allocator that fails when it is told to.
//
// See sqlite.org/vfs.html and sqlite.org/malloc.html. One thread at a time.
#define _GNU_SOURCE
#include "faultsteps.h"
#include <sqlite3.h>
#include <stddef.h>
#include <time.h>

static fault_step ask;
static void *ask_context;
static sqlite3_vfs *ordinary;

struct shim {
    sqlite3_file first;
    int is_log;
    sqlite3_file *real;
};
#define REAL(p) (((struct shim *)(p))->real)
#define CALL(p, method, ...) (REAL(p)->pMethods->method(REAL(p), ##__VA_ARGS__))

// Asks, and makes the call unless it is refused.
#define ASKED(call, is_log, expression) \
    int verdict = ask(ask_context, call, is_log); \
    if (verdict > 0) return verdict; \
    int status = (expression); \
    return verdict < 0 ? -verdict : status
#define ASKED_FILE(call, p, method, ...) ASKED(call, ((struct shim *)(p))->is_log, CALL(p, method, ##__VA_ARGS__))

static int steps_close(sqlite3_file *p) {
    ask(ask_context, FAULT_CLOSE, ((struct shim *)p)->is_log);
    return REAL(p)->pMethods ? CALL(p, xClose) : SQLITE_OK;
}
static int steps_read(sqlite3_file *p, void *b, int n, sqlite3_int64 o) { ASKED_FILE(FAULT_READ, p, xRead, b, n, o); }
static int steps_write(sqlite3_file *p, const void *b, int n, sqlite3_int64 o) {
    ASKED_FILE(FAULT_WRITE, p, xWrite, b, n, o);
}
static int steps_truncate(sqlite3_file *p, sqlite3_int64 size) { ASKED_FILE(FAULT_TRUNCATE, p, xTruncate, size); }
static int steps_sync(sqlite3_file *p, int flags) { ASKED_FILE(FAULT_SYNC, p, xSync, flags); }
static int steps_size(sqlite3_file *p, sqlite3_int64 *size) { ASKED_FILE(FAULT_SIZE, p, xFileSize, size); }
static int steps_lock(sqlite3_file *p, int level) { ASKED_FILE(FAULT_LOCK, p, xLock, level); }
static int steps_unlock(sqlite3_file *p, int level) { ASKED_FILE(FAULT_UNLOCK, p, xUnlock, level); }
static int steps_reserved(sqlite3_file *p, int *out) { return CALL(p, xCheckReservedLock, out); }
static int steps_control(sqlite3_file *p, int op, void *arg) { return CALL(p, xFileControl, op, arg); }
static int steps_sector(sqlite3_file *p) { return CALL(p, xSectorSize); }
static int steps_device(sqlite3_file *p) { return CALL(p, xDeviceCharacteristics); }
static int steps_map(sqlite3_file *p, int page, int size, int extend, void volatile **out) {
    ASKED_FILE(FAULT_SHM_MAP, p, xShmMap, page, size, extend, out);
}
static int steps_shmlock(sqlite3_file *p, int o, int n, int flags) {
    ASKED_FILE(flags & SQLITE_SHM_UNLOCK ? FAULT_SHM_UNLOCK : FAULT_SHM_LOCK, p, xShmLock, o, n, flags);
}
static void steps_barrier(sqlite3_file *p) {
    ask(ask_context, FAULT_SHM_BARRIER, 0);
    CALL(p, xShmBarrier);
}
static int steps_unmap(sqlite3_file *p, int gone) { ASKED_FILE(FAULT_SHM_UNMAP, p, xShmUnmap, gone); }
static int steps_fetch(sqlite3_file *p, sqlite3_int64 o, int n, void **out) {
    ASKED_FILE(FAULT_FETCH, p, xFetch, o, n, out);
}
static int steps_unfetch(sqlite3_file *p, sqlite3_int64 o, void *page) {
    ASKED_FILE(FAULT_UNFETCH, p, xUnfetch, o, page);
}

// Version 3: a checkpoint calls xUnfetch between reading the log's header and copying its pages.
static const sqlite3_io_methods methods = {
    3, steps_close, steps_read, steps_write, steps_truncate, steps_sync, steps_size, steps_lock, steps_unlock,
    steps_reserved, steps_control, steps_sector, steps_device, steps_map, steps_shmlock, steps_barrier, steps_unmap,
    steps_fetch, steps_unfetch,
};

static int open_real(const char *name, sqlite3_file *p, int flags, int *out) {
    int status = ordinary->xOpen(ordinary, name, REAL(p), flags, out);
    p->pMethods = REAL(p)->pMethods ? &methods : NULL;
    return status;
}

static int steps_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *p, int flags, int *out) {
    struct shim *shim = (struct shim *)p;
    shim->real = (sqlite3_file *)(shim + 1);
    shim->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    p->pMethods = NULL;
    shim->real->pMethods = NULL;
    int verdict = ask(ask_context, FAULT_OPEN, shim->is_log);
    return verdict ? (verdict < 0 ? -verdict : verdict) : open_real(name, p, flags, out);
}
static int steps_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    ASKED(FAULT_DELETE, 0, ordinary->xDelete(ordinary, name, sync));
}
static int steps_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    ASKED(FAULT_ACCESS, 0, ordinary->xAccess(ordinary, name, flags, out));
}

// In one thread whoever is waited for stands still until the wait is over: waiting would only take time. Once
// fault_steps_begin was called for one, pauses of SQLite's and of the program pass at once.
static int is_alone;

static int steps_sleep(sqlite3_vfs *vfs, int microseconds) {
    return is_alone ? microseconds : ordinary->xSleep(ordinary, microseconds);
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    return is_alone ? 0 : clock_nanosleep(CLOCK_REALTIME, 0, time, left);
}

int fault_steps_begin(fault_step step, void *context, int alone) {
    is_alone = alone;
    static sqlite3_vfs shim;
    ordinary = sqlite3_vfs_find(NULL);
    if (!ordinary) return -1;
    ask = step;
    ask_context = context;
    shim = *ordinary;
    shim.zName = "faultsteps";
    shim.szOsFile = sizeof(struct shim) + ordinary->szOsFile;
    shim.xOpen = steps_open;
    shim.xDelete = steps_delete;
    shim.xAccess = steps_access;
    shim.xSleep = steps_sleep;
    shim.pNext = NULL;
    return sqlite3_vfs_register(&shim, 1) == SQLITE_OK ? 0 : -1;
}

// Memory.

static sqlite3_mem_methods ordinary_memory;
static int64_t allocations, failing;
static int failing_forever;

static int is_out(void) {
    allocations++;
    return failing && (allocations == failing || (failing_forever && allocations > failing));
}
static void *scarce_malloc(int size) { return is_out() ? NULL : ordinary_memory.xMalloc(size); }
static void *scarce_realloc(void *p, int size) { return is_out() ? NULL : ordinary_memory.xRealloc(p, size); }

int fault_memory_begin(void) {
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &ordinary_memory)) return -1;
    sqlite3_mem_methods scarce = ordinary_memory;
    scarce.xMalloc = scarce_malloc;
    scarce.xRealloc = scarce_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce) ? -1 : 0;
}

void fault_memory_fail(int64_t nth, int forever) {
    allocations = 0;
    failing = nth;
    failing_forever = forever;
}

int64_t fault_memory_count(void) { return allocations; }
