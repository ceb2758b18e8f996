// cfuzzer.h - libFuzzer's driver, where the program was linked with it.
#ifndef CFUZZER_H
#define CFUZZER_H
#include <stddef.h>
#include <stdint.h>

/// Runs libFuzzer with its command line; -1 when this program was linked without it.
int fuzzer_run(int *count, char ***arguments, int (*body)(const uint8_t *bytes, size_t size));

#endif
