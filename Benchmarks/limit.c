// limit.c - the yardstick: what plain C over SQLite reaches for put, claim and finish.
//
//   cc -O2 -o limit limit.c -lsqlite3
//   limit FILE put JOBS BATCH      puts JOBS jobs with 100 bytes each, BATCH per transaction
//   limit FILE drain BATCH         finishes the last BATCH and claims the next, in one transaction, until none is ready
//
// One thread, one connection, prepared statements, and Spool's settings: WAL that keeps its length, synchronous=FULL,
// no checkpoint on close. Its tables are the least that the work needs: a job is written once, and its state is which
// small table holds its id. What Spool does beyond (lanes, counters, runs, forked consumers) is what the ratio shows.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS job(id INTEGER PRIMARY KEY, queue INTEGER, priority INTEGER, put_at INTEGER, body);"
    "CREATE TABLE IF NOT EXISTS ready(queue INTEGER, priority INTEGER, id INTEGER, attempt INTEGER,"
    "  PRIMARY KEY(queue, priority, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS running(id INTEGER PRIMARY KEY, owner INTEGER, attempt INTEGER, started INTEGER);"
    "CREATE TABLE IF NOT EXISTS finished(id INTEGER PRIMARY KEY, outcome INTEGER, attempt INTEGER, finished INTEGER);";

enum { bytes = 100, queue = 1, priority = 1024, owner = 1 };
static const sqlite3_int64 now = 1764000000000000;   // as wide as a real time in microseconds
static sqlite3 *db;

static void die(const char *what) {
    fprintf(stderr, "limit: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static void run(const char *sql) {
    if (sqlite3_exec(db, sql, 0, 0, 0)) die(sql);
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, 0)) die(sql);
    return statement;
}

/// Binds up to four integers (-1: left as it is), steps, and wants exactly one row changed.
static void change(sqlite3_stmt *s, sqlite3_int64 a, sqlite3_int64 b, sqlite3_int64 c, sqlite3_int64 d) {
    sqlite3_int64 values[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if (values[i] >= 0) sqlite3_bind_int64(s, i + 1, values[i]);
    if (sqlite3_step(s) != SQLITE_DONE || sqlite3_changes(db) != 1) die(sqlite3_sql(s));
    sqlite3_reset(s);
}

static void open_file(const char *path) {
    int keep = 1;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, 0)) die(path);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY");
    sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
    run(schema);
}

static void put(long jobs, long batch) {
    char body[bytes];
    memset(body, 'a', bytes);
    sqlite3_stmt *job = prepare("INSERT INTO job VALUES(?1, ?2, ?3, ?4, ?5)");
    sqlite3_stmt *ready = prepare("INSERT INTO ready VALUES(?1, ?2, ?3, 0)");
    sqlite3_bind_blob(job, 5, body, bytes, SQLITE_STATIC);
    for (long id = 1; id <= jobs; id++) {
        if (id % batch == 1 || batch == 1) run("BEGIN IMMEDIATE");
        change(job, id, queue, priority, now);
        change(ready, queue, priority, id, -1);
        if (id % batch == 0 || id == jobs) run("COMMIT");
    }
    sqlite3_finalize(job);
    sqlite3_finalize(ready);
}

/// Claims up to `batch` jobs into `ids`; returns how many.
static long claim(sqlite3_stmt *pick, sqlite3_stmt *take, sqlite3_stmt *hold, sqlite3_int64 *ids, long batch) {
    long count = 0;
    volatile int read = 0;
    sqlite3_bind_int64(pick, 1, queue);
    sqlite3_bind_int64(pick, 2, batch);
    while (sqlite3_step(pick) == SQLITE_ROW) {
        ids[count++] = sqlite3_column_int64(pick, 0);
        read += *(const char *)sqlite3_column_blob(pick, 1);
    }
    if (sqlite3_reset(pick)) die("claim");
    for (long i = 0; i < count; i++) {
        change(take, queue, priority, ids[i], -1);
        change(hold, ids[i], owner, 1, now);
    }
    return count;
}

static void drain(long batch) {
    sqlite3_int64 *ids = malloc(sizeof *ids * (size_t)batch);
    long count = 0;
    sqlite3_stmt *pick = prepare(
        "SELECT r.id, j.body FROM ready r CROSS JOIN job j ON j.id = r.id"
        " WHERE r.queue = ?1 ORDER BY r.priority, r.id LIMIT ?2");
    sqlite3_stmt *take = prepare("DELETE FROM ready WHERE queue = ?1 AND priority = ?2 AND id = ?3");
    sqlite3_stmt *hold = prepare("INSERT INTO running VALUES(?1, ?2, ?3, ?4)");
    sqlite3_stmt *drop = prepare("DELETE FROM running WHERE id = ?1 AND owner = ?2 AND attempt = ?3");
    sqlite3_stmt *keep = prepare("INSERT INTO finished VALUES(?1, ?2, ?3, ?4)");
    do {
        run("BEGIN IMMEDIATE");
        for (long i = 0; i < count; i++) {
            change(drop, ids[i], owner, 1, -1);
            change(keep, ids[i], 1, 1, now);
        }
        count = claim(pick, take, hold, ids, batch);
        run("COMMIT");
    } while (count > 0);
    sqlite3_stmt *all[] = {pick, take, hold, drop, keep};
    for (int i = 0; i < 5; i++) sqlite3_finalize(all[i]);
    free(ids);
}

int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[2] : "";
    long first = argc > 3 ? atol(argv[3]) : 0, second = argc > 4 ? atol(argv[4]) : 0;
    int is_put = !strcmp(what, "put") && first > 0 && second > 0;
    int is_drain = !strcmp(what, "drain") && first > 0;
    if (!is_put && !is_drain) {
        fprintf(stderr, "usage: limit FILE put JOBS BATCH | limit FILE drain BATCH\n");
        return 64;
    }
    open_file(argv[1]);
    if (is_put) put(first, second);
    if (is_drain) drain(first);
    return sqlite3_close(db) ? 1 : 0;
}
