// faultdisk.c - a VFS of SQLite that passes everything on to the ordinary one and keeps a record of it.
//
// See sqlite.org/vfs.html. Recording is for one thread at a time; each thread has failures of its own.
#include "faultdisk.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { WRITE, SYNC, LOSE, TRUNCATE, ACKNOWLEDGE };
struct event {
    enum kind kind;
    int file;                // 0 the database, 1 its log
    sqlite3_int64 offset;    // of a write; the size after a truncate; puts acknowledged
    sqlite3_int64 count;     // bytes of a write; jobs finished and acknowledged
    unsigned char *bytes;
};
static struct event *events;
static size_t event_count, event_room;

struct content {
    unsigned char *bytes;
    sqlite3_int64 count, room;
};
static struct content begun[2];
static char watched[2][4096];
static int recording, forgetful;
// Syncs that have failed. Each open file tells of those since it was opened, once: see errseq_t in the kernel.
static unsigned failures[2];

static void remember(enum kind kind, int file, sqlite3_int64 offset, sqlite3_int64 count, const void *bytes) {
    if (!recording || (kind != ACKNOWLEDGE && file < 0)) return;
    if (event_count == event_room) {
        event_room = event_room ? event_room * 2 : 1024;
        events = realloc(events, event_room * sizeof *events);
    }
    struct event *event = &events[event_count++];
    *event = (struct event){kind, file, offset, count, NULL};
    if (bytes) event->bytes = memcpy(malloc(count), bytes, count);
}

static void place(struct content *content, sqlite3_int64 offset, sqlite3_int64 count, const void *bytes) {
    if (offset + count > content->room) {
        content->room = (offset + count) * 2;
        content->bytes = realloc(content->bytes, content->room);
    }
    if (offset > content->count) memset(content->bytes + content->count, 0, offset - content->count);
    memcpy(content->bytes + offset, bytes, count);
    if (offset + count > content->count) content->count = offset + count;
}

// The file in between: ours, with the real one behind it.

struct shim {
    sqlite3_file base;
    int file;
    unsigned told;
    sqlite3_file *real;
};
#define REAL(p) (((struct shim *)(p))->real)
#define CALL(p, method, ...) (REAL(p)->pMethods->method(REAL(p), ##__VA_ARGS__))

// Calls that fail because a test on this thread wants them to: the `failing_after`-th of a kind, and so many after it.
static _Thread_local int failing_kinds, failing_after, failing_times, failing_code, failed;

static int fails(int kind) {
    if (!(failing_kinds & kind) || failing_times == 0 || failing_after-- > 0) return SQLITE_OK;
    failing_times--;
    failed++;
    return failing_code;
}

void fault_disk_fail(int kinds, int after, int times, int code) {
    failing_kinds = kinds;
    failing_after = after;
    failing_times = times;
    failing_code = code;
    failed = 0;
}

int fault_disk_heal(void) {
    failing_kinds = 0;
    return failed;
}

static int shim_close(sqlite3_file *p) { return REAL(p)->pMethods ? CALL(p, xClose) : SQLITE_OK; }
static int shim_read(sqlite3_file *p, void *b, int n, sqlite3_int64 o) {
    int status = fails(FAULT_DISK_READ);
    return status ? status : CALL(p, xRead, b, n, o);
}
static int shim_write(sqlite3_file *p, const void *b, int n, sqlite3_int64 o) {
    int status = fails(FAULT_DISK_WRITE);
    if (status) return status;
    remember(WRITE, ((struct shim *)p)->file, o, n, b);
    return CALL(p, xWrite, b, n, o);
}
static int shim_truncate(sqlite3_file *p, sqlite3_int64 size) {
    remember(TRUNCATE, ((struct shim *)p)->file, size, 0, NULL);
    return CALL(p, xTruncate, size);
}
static int shim_sync(sqlite3_file *p, int flags) {
    struct shim *shim = (struct shim *)p;
    int status = fails(FAULT_DISK_SYNC);
    if (status) {
        remember(LOSE, shim->file, 0, 0, NULL);
        if (shim->file >= 0) shim->told = ++failures[shim->file];
        return status;
    }
    status = CALL(p, xSync, flags);
    if (forgetful && shim->file == 1) return status;
    if (status == SQLITE_OK) remember(SYNC, shim->file, 0, 0, NULL);
    if (shim->file < 0 || shim->told == failures[shim->file]) return status;
    shim->told = failures[shim->file];
    return SQLITE_IOERR_FSYNC;
}
static int shim_size(sqlite3_file *p, sqlite3_int64 *size) { return CALL(p, xFileSize, size); }
static int shim_lock(sqlite3_file *p, int level) { return CALL(p, xLock, level); }
static int shim_unlock(sqlite3_file *p, int level) { return CALL(p, xUnlock, level); }
static int shim_reserved(sqlite3_file *p, int *out) { return CALL(p, xCheckReservedLock, out); }
static int shim_control(sqlite3_file *p, int op, void *arg) { return CALL(p, xFileControl, op, arg); }
static int shim_sector(sqlite3_file *p) { return CALL(p, xSectorSize); }
// A sector that is being written when the power goes may take its neighbours along: promise nothing.
static int shim_device(sqlite3_file *p) {
    return CALL(p, xDeviceCharacteristics) & ~SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}
static int shim_map(sqlite3_file *p, int page, int size, int extend, void volatile **out) {
    return CALL(p, xShmMap, page, size, extend, out);
}
static int shim_shmlock(sqlite3_file *p, int o, int n, int flags) { return CALL(p, xShmLock, o, n, flags); }
static void shim_barrier(sqlite3_file *p) { CALL(p, xShmBarrier); }
static int shim_unmap(sqlite3_file *p, int gone) { return CALL(p, xShmUnmap, gone); }

static const sqlite3_io_methods methods = {
    2, shim_close, shim_read, shim_write, shim_truncate, shim_sync, shim_size, shim_lock, shim_unlock,
    shim_reserved, shim_control, shim_sector, shim_device, shim_map, shim_shmlock, shim_barrier, shim_unmap,
};

static sqlite3_vfs *ordinary;

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *p, int flags, int *out) {
    struct shim *shim = (struct shim *)p;
    shim->real = (sqlite3_file *)(shim + 1);
    shim->file = -1;
    for (int i = 0; i < 2; i++)
        if (name && !strcmp(name, watched[i])) shim->file = i;
    if (shim->file >= 0) shim->told = failures[shim->file];
    int status = ordinary->xOpen(ordinary, name, shim->real, flags, out);
    p->pMethods = shim->real->pMethods ? &methods : NULL;
    return status;
}

static void load(struct content *content, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return;
    unsigned char buffer[65536];
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, file)) > 0) place(content, content->count, count, buffer);
    fclose(file);
}

int fault_disk_install(void) {
    static sqlite3_vfs shim;
    if (ordinary) return 0;
    ordinary = sqlite3_vfs_find(NULL);
    if (!ordinary) return -1;
    shim = *ordinary;
    shim.zName = "faultdisk";
    shim.szOsFile = sizeof(struct shim) + ordinary->szOsFile;
    shim.xOpen = shim_open;
    shim.pNext = NULL;
    return sqlite3_vfs_register(&shim, 1) == SQLITE_OK ? 0 : -1;
}

int fault_disk_begin(const char *path) {
    snprintf(watched[0], sizeof watched[0], "%s", path);
    snprintf(watched[1], sizeof watched[1], "%s-wal", path);
    for (int i = 0; i < 2; i++) load(&begun[i], watched[i]);
    recording = 1;
    return fault_disk_install();
}

void fault_disk_acknowledge(int64_t puts, int64_t done) { remember(ACKNOWLEDGE, -1, puts, done, NULL); }

void fault_disk_forget_log_syncs(void) { forgetful = 1; }

void fault_disk_end(void) { recording = 0; }

// The cut.

static uint64_t luck;
static unsigned draw(void) {
    luck ^= luck << 13;
    luck ^= luck >> 7;
    luck ^= luck << 17;
    return (unsigned)(luck >> 20);
}

static void apply(struct content *content, const struct event *event) {
    if (event->kind == WRITE) place(content, event->offset, event->count, event->bytes);
    else if (event->offset < content->count) content->count = event->offset;
}

static void apply_some_sectors(struct content *content, const struct event *event) {
    for (sqlite3_int64 at = 0; at < event->count;) {
        sqlite3_int64 room = 512 - (event->offset + at) % 512;
        sqlite3_int64 count = room < event->count - at ? room : event->count - at;
        if (draw() & 1) place(content, event->offset + at, count, event->bytes + at);
        at += count;
    }
}

static void write_image(const char *out, const char *suffix, const struct content *content) {
    char path[4200];
    snprintf(path, sizeof path, "%s%s", out, suffix);
    unlink(path);
    FILE *file = fopen(path, "wb");
    if (!file) return;
    fwrite(content->bytes, 1, content->count, file);
    fclose(file);
}

static void make_image(const char *out, const struct content synced[2], const size_t *pending, size_t count) {
    for (int file = 0; file < 2; file++) {
        struct content content = {NULL, 0, 0};
        place(&content, 0, synced[file].count, synced[file].bytes ? synced[file].bytes : (unsigned char *)"");
        unsigned keep = draw() % 4;  // 0: nothing that was not synced is there; 1: all of it; else any sectors
        for (size_t i = 0; i < count && keep > 0; i++) {
            const struct event *event = &events[pending[i]];
            if (event->file != file) continue;
            if (keep == 1) apply(&content, event);
            else if (event->kind == WRITE) apply_some_sectors(&content, event);
            else if (draw() & 1) apply(&content, event);
        }
        write_image(out, file ? "-wal" : "", &content);
        free(content.bytes);
    }
    char path[4200];
    snprintf(path, sizeof path, "%s-shm", out);
    unlink(path);
}

long fault_disk_each_cut(
    const char *out, int images, uint64_t seed, int (*check)(void *, int64_t, int64_t), void *context) {
    luck = seed | 1;
    size_t *pending = malloc(event_count * sizeof *pending), count = 0;
    int64_t puts = 0, done = 0;
    long cuts = 0;
    for (size_t i = 0; i < event_count; i++) {
        struct event *event = &events[i];
        if (event->kind == ACKNOWLEDGE) {
            puts = event->offset;
            done = event->count;
        } else if (event->kind == SYNC || event->kind == LOSE) {
            // After a sync that failed the system counts the pages as written: no later one writes them.
            size_t left = 0;
            for (size_t j = 0; j < count; j++) {
                if (events[pending[j]].file != event->file) pending[left++] = pending[j];
                else if (event->kind == SYNC) apply(&begun[event->file], &events[pending[j]]);
            }
            count = left;
        } else {
            pending[count++] = i;
        }
        for (int image = 0; image < images; image++) {
            make_image(out, begun, pending, count);
            cuts++;
            if (check(context, puts, done)) goto over;
        }
    }
over:
    free(pending);
    return cuts;
}
