// epoll.c - the bare loop: what an event costs over epoll without anything above it. Benchmarks/selectors/run calls it.
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { width = 64 };

static double processor_time(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int count, char **words) {
    long rounds = (count > 1 ? atol(words[1]) : 1000000) / width;
    int epoll = epoll_create1(EPOLL_CLOEXEC), pairs[width][2];
    struct epoll_event events[width];
    for (int i = 0; i < width; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i])) return perror("socketpair"), 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = pairs[i][1]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[i][1], &event);
    }
    char byte = 1;
    double begin = processor_time();
    for (long round = 0; round < rounds; round++) {
        for (int i = 0; i < width; i++)
            if (write(pairs[i][0], &byte, 1) != 1) return perror("write"), 1;
        for (int left = width; left > 0;) {
            int ready = epoll_wait(epoll, events, width, -1);
            for (int i = 0; i < ready; i++)
                if (read(events[i].data.fd, &byte, 1) != 1) return perror("read"), 1;
            left -= ready;
        }
    }
    printf("{\"C, epoll\": %.0f}\n", (processor_time() - begin) / (rounds * width));
}
