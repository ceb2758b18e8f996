// together.c - the most that processes can reach that put one job after the other and share what the disk takes.
//
//   cc -O2 -o together Benchmarks/together.c && ./together FILE PROCESSES JOBS MICROSECONDS
//
// FILE is made anew. Each process posts a job and waits; whoever is in the gate waits until all have posted, works for
// so many MICROSECONDS for each, writes five pages, syncs once and wakes the others. No table, no lock of a file, nobody
// who takes the jobs: what a queue does on top comes on top. Prints jobs per second, and how long a round took.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { most = 64, bytes = 5 * 4120, length = 16 << 20, patience = 200 };

struct seat {
    _Alignas(64) atomic_uint posted;
    atomic_uint calls;
};

struct board {
    atomic_uint gate;
    unsigned long rounds;  // of who is in the gate
    struct seat seats[most];
};

static struct board *board;
static int file, processes;
static char page[bytes];

static double microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec * 1e-3;
}

static int posted(void) {
    int count = 0;
    for (int seat = 0; seat < processes; seat++) count += atomic_load(&board->seats[seat].posted);
    return count;
}

static void lead(int own, double work) {
    for (double limit = microseconds() + patience; posted() < processes && microseconds() < limit;) sched_yield();
    int taken[most] = {0}, count = 0;
    for (int seat = 0; seat < processes; seat++) count += taken[seat] = atomic_load(&board->seats[seat].posted);
    for (double end = microseconds() + work * count; microseconds() < end;) continue;
    off_t place = board->rounds++ * bytes % (length - bytes);
    if (pwrite(file, page, bytes, place) != bytes || fdatasync(file)) abort();
    atomic_store(&board->gate, 0);
    for (int seat = 0; seat < processes; seat++)
        if (taken[seat]) atomic_store(&board->seats[seat].posted, 0);
    for (int seat = 0; seat < processes; seat++) {
        atomic_uint *calls = &board->seats[seat].calls;
        atomic_fetch_add(calls, 1);
        // Who came too late looks whether the gate is free.
        if (seat != own && (taken[seat] || atomic_load(&board->seats[seat].posted)))
            syscall(SYS_futex, calls, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

static void put(int own, double work) {
    struct seat *seat = &board->seats[own];
    atomic_store(&seat->posted, 1);
    for (;;) {
        unsigned seen = atomic_load(&seat->calls), free = 0;
        if (!atomic_load(&seat->posted)) return;
        if (!atomic_compare_exchange_strong(&board->gate, &free, 1)) {
            syscall(SYS_futex, &seat->calls, FUTEX_WAIT, seen, NULL, NULL, 0);
        } else if (atomic_load(&seat->posted)) {
            lead(own, work);
        } else {
            atomic_store(&board->gate, 0);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 5 || (processes = atoi(argv[2])) < 1 || processes > most) {
        fprintf(stderr, "usage: together FILE PROCESSES JOBS MICROSECONDS\n");
        return 64;
    }
    int jobs = atoi(argv[3]);
    file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (off_t place = 0; place < length; place += bytes)
        if (pwrite(file, page, bytes, place) != bytes) return 74;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fsync(file) || board == MAP_FAILED) return 74;
    double begin = microseconds();
    for (int own = 0; own < processes; own++) {
        if (fork()) continue;
        for (int job = 0; job < jobs; job++) put(own, strtod(argv[4], NULL));
        _exit(0);
    }
    while (wait(NULL) > 0) continue;
    double took = microseconds() - begin;
    printf("%.0f jobs/s, a round %.0f us\n", 1e6 * processes * jobs / took, took / board->rounds);
}
