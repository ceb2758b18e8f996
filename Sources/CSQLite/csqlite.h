// csqlite.h - the system's SQLite, and the calls of it that Swift cannot make: variadic ones and pointer sentinels.
#pragma once
#include <sqlite3.h>

/// Saves about 8 % CPU: nobody reads SQLite's memory statistics here. Before the first open of a process.
static inline int spool_sqlite_no_memory_statistics(void) {
    return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/// Whether closing the last connection of a file makes a checkpoint.
static inline int spool_sqlite_checkpoint_on_close(sqlite3 *db, int is_wanted) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted, (int *)0);
}

/// Triggers and views of the file can call harmless functions only, and nothing can write into SQLite's own tables.
static inline void spool_sqlite_distrust(sqlite3 *db) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
}

/// Whether its header says that it has a write-ahead log: 1 or 0, or -1 when that cannot be read. Through SQLite's
/// descriptor: to close another one would drop this process's locks. See sqlite.org/fileformat.html, 1.3.3.
static inline int spool_sqlite_says_it_has_a_log(sqlite3 *db) {
    sqlite3_file *file = 0;
    unsigned char header[20];
    int status = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (status != SQLITE_OK || !file || !file->pMethods) return -1;
    if (file->pMethods->xRead(file, header, sizeof header, 0) != SQLITE_OK) return -1;
    return header[18] == 2;
}

/// The bytes are read before the call returns (SQLITE_TRANSIENT is a cast of -1, which Swift cannot spell).
static inline int spool_sqlite_bind_text(sqlite3_stmt *s, int i, const char *p, int n) {
    return sqlite3_bind_text(s, i, p, n, SQLITE_TRANSIENT);
}
static inline int spool_sqlite_bind_blob(sqlite3_stmt *s, int i, const void *p, int n) {
    return sqlite3_bind_blob64(s, i, p, (sqlite3_uint64)n, SQLITE_TRANSIENT);
}
