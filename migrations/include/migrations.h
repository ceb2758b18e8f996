// migrations.h - every file of the folder migrations/, its bytes inside the program.
#pragma once
#include <stddef.h>

/// One migration: its path below migrations/, and its SQL.
struct spool_migration {
    const char *_Nonnull name;
    const char *_Nonnull sql;
    size_t count;
};
extern const struct spool_migration *_Nonnull const spool_migrations;
extern const size_t spool_migrations_count;
