// faultzygote.c - a fork server that is killed when it has made a child, before it can tell of it.
#define _GNU_SOURCE
#include "faultzygote.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char variable[] = "SPOOL_RIG_UNHEARD";

void fault_zygote_arm(void) { setenv(variable, "1", 1); }

static char state_of(pid_t process, const char *thread) {
    char path[300], text[512];
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", process, thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 'X';
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    text[count > 0 ? count : 0] = 0;
    char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 'X';
}

/// Whether all of its threads sleep: the first one always does, another one waits for its birth.
static int waits(pid_t process) {
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/task", process);
    DIR *threads = opendir(path);
    if (!threads) return 0;
    int sleeping = 0, awake = 0;
    for (struct dirent *entry; (entry = readdir(threads));)
        if (entry->d_name[0] != '.') *(state_of(process, entry->d_name) == 'S' ? &sleeping : &awake) += 1;
    closedir(threads);
    return sleeping >= 2 && !awake;
}

/// In place of the C library's, for the whole program.
ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    static int answers;
    char name[17] = "";
    pid_t child;
    if (getenv(variable) && message->msg_iovlen == 1 && message->msg_iov[0].iov_len == sizeof child) {
        prctl(PR_GET_NAME, name);
        if (!strcmp(name, "spool zygote") && ++answers == 2) {
            memcpy(&child, message->msg_iov[0].iov_base, sizeof child);
            while (!waits(child) && kill(child, 0) == 0) sched_yield();
            raise(SIGKILL);
        }
    }
    return syscall(SYS_sendmsg, socket, message, flags);
}
