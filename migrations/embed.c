// embed.c - C23 #embed puts the bytes into .rodata and the file into the dependency list,
// so that editing a .sql rebuilds. One FILE per .sql; a test compares this list with the folder.
#include "migrations.h"
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char sqlite_0001[] = {
#embed "sqlite/0001_jobs.sql" suffix(, 0) if_empty(0)
};

static const char sqlite_0002[] = {
#embed "sqlite/0002_ids.sql" suffix(, 0) if_empty(0)
};

static const char sqlite_0003[] = {
#embed "sqlite/0003_batch.sql" suffix(, 0) if_empty(0)
};

#define FILE_(path, bytes) {path, bytes, sizeof bytes - 1}
static const struct spool_migration all[] = {
    FILE_("sqlite/0001_jobs.sql", sqlite_0001),
    FILE_("sqlite/0002_ids.sql", sqlite_0002),
    FILE_("sqlite/0003_batch.sql", sqlite_0003),
};
const struct spool_migration *const spool_migrations = all;
const size_t spool_migrations_count = sizeof all / sizeof *all;
