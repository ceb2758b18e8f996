// fuzzer.c - calls libFuzzer's driver if it is there: only scripts/fuzz links it.
#include "cfuzzer.h"

typedef int (*one_input)(const uint8_t *, size_t);
__attribute__((weak)) int LLVMFuzzerRunDriver(int *, char ***, one_input);

int fuzzer_run(int *count, char ***arguments, one_input body) {
    return LLVMFuzzerRunDriver ? LLVMFuzzerRunDriver(count, arguments, body) : -1;
}
