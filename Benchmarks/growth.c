// growth.c - what it costs that a log grows: commits of twelve kilobytes, a sync after each, zeros ahead of them.
//
//   cc -O2 -o growth Benchmarks/growth.c && ./growth FILE KIB
//
// FILE is made anew. Each time that a commit comes to its end, KIB kilobytes of zeros are written behind it; 0: none.
// Prints the mean of 1,200 commits and the worst one.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { commits = 1200, bytes = 12360 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: growth FILE KIB\n");
        return 64;
    }
    size_t ahead = strtoul(argv[2], NULL, 10) << 10;
    int file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    char *zeros = calloc(1, ahead + 1), data[bytes];
    if (file < 0 || !zeros) {
        perror(argv[1]);
        return 1;
    }
    memset(data, 'a', bytes);
    off_t end = 0, size = 0;
    double begin = seconds(), worst = 0;
    for (int i = 0; i < commits; i++) {
        double start = seconds();
        int failed = pwrite(file, data, bytes, end) != bytes;
        end += bytes;
        if (end > size) {
            failed |= pwrite(file, zeros, ahead, end) != (ssize_t)ahead;
            size = end + (off_t)ahead;
        }
        sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE);
        if (failed || fdatasync(file)) {
            perror(argv[1]);
            return 1;
        }
        double took = seconds() - start;
        if (took > worst) worst = took;
    }
    printf("%zu KiB ahead: %.0f us, at worst %.0f us\n", ahead >> 10, (seconds() - begin) / commits * 1e6, worst * 1e6);
    return 0;
}
