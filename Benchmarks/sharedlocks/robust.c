// robust.c - a robust mutex of pthread between processes, bare: the yardstick of SharedLock.
//
//     cc -O2 -pthread robust.c && ./a.out alone|crowd COUNT
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4 };

static pthread_mutex_t *lock;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double processor(void) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    struct timeval all[] = {own.ru_utime, own.ru_stime, children.ru_utime, children.ru_stime};
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += (double)all[i].tv_sec + (double)all[i].tv_usec / 1e6;
    return sum;
}

static void use(long count) {
    for (long round = 0; round < count; round++) {
        if (pthread_mutex_lock(lock) == EOWNERDEAD) pthread_mutex_consistent(lock);
        pthread_mutex_unlock(lock);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 64;
    long count = atol(argv[2]);
    int children = strcmp(argv[1], "alone") ? PROCESSES : 0;
    lock = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(lock, &kind);
    double begin = now(), cpu = processor();
    for (int child = 0; child < children; child++)
        if (!fork()) {
            use(count / PROCESSES);
            _exit(0);
        }
    if (!children) use(count);
    while (wait(NULL) > 0) {}
    printf("{\"items\": %ld, \"seconds\": %g, \"cpu\": %g}\n", count, now() - begin, processor() - cpu);
}
