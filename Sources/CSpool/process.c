// process.c - fork and exec as a job queue needs them.
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t spool_fork(void) { return fork(); }

struct fresh {
    void (*body)(void *);
    void *context;
};

static void *run_fresh(void *argument) {
    struct fresh *fresh = argument;
    fresh->body(fresh->context);
    _exit(0);
}

static _Noreturn void run_on_fresh_thread(void (*body)(void *), void *context) {
    static struct fresh fresh;
    fresh = (struct fresh){body, context};
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8 << 20);
    if (pthread_create(&thread, &attributes, run_fresh, &fresh)) _exit(125);
    for (;;) pause();
}

void spool_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

static _Noreturn void run_adopted(
    pid_t intermediate, const char *name, int dies, void (*body)(void *), void *context) {
    spool_name_thread(name);
    if (dies) {
        // The signal fires when a parent goes: it may be asked for only after the intermediate one has gone.
        while (getppid() == intermediate) sched_yield();
        spool_die_with_parent();
    }
    run_on_fresh_thread(body, context);
}

pid_t spool_fork_adopted(const char *name, int dies, void (*body)(void *), void *context) {
    static pid_t *word;
    if (!word) {
        void *page = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) return -errno;
        word = page;
    }
    pid_t intermediate = fork();
    if (intermediate < 0) return -errno;
    if (intermediate == 0) {
        pid_t me = getpid();
        pid_t child = fork();
        if (child == 0) run_adopted(me, name, dies, body, context);
        *word = child < 0 ? -errno : child;
        _exit(0);
    }
    int status;
    while (waitpid(intermediate, &status, 0) < 0)
        if (errno != EINTR) return -errno;
    return WIFSIGNALED(status) ? -EINTR : *word;
}

pid_t spool_fork_child(int dies, void (*body)(void *), void *context) {
    pid_t me = getpid();
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child > 0) return child;
    if (dies) {
        spool_die_with_parent();
        if (getppid() != me) _exit(125);
    }
    run_on_fresh_thread(body, context);
}

struct holder {
    int descriptor, end;
    char stack[16 << 10] __attribute__((aligned(16)));
};

static int hold_until_end(void *argument) {
    struct holder *holder = argument;
    dup2(holder->descriptor, 0);
    dup2(holder->end, 1);
    // One that kept its own end of the pipe would hold everything for ever.
    if (syscall(SYS_close_range, 2, ~0u, 0)) return 0;
    char nothing;
    syscall(SYS_read, 1, &nothing, 1);
    return 0;
}

void spool_close_elsewhere(int descriptor) {
    if (descriptor < 0) return;
    // The child has our memory, not a copy: half a millisecond less, and freeing it is left to the child as well.
    struct holder *holder = malloc(sizeof *holder);
    int ends[2];
    if (holder && !pipe2(ends, O_CLOEXEC)) {
        sigset_t all, before;
        sigfillset(&all);
        holder->descriptor = descriptor;
        holder->end = ends[0];
        // A handler must not run in the child while it shares our memory.
        pthread_sigmask(SIG_SETMASK, &all, &before);
        clone(hold_until_end, holder->stack + sizeof holder->stack, CLONE_VM | SIGCHLD, holder);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    close(descriptor);
}

static int own_count;
static char **own_words;

// glibc hands main's arguments to constructors as well.
__attribute__((constructor)) static void keep_words(int count, char **words) {
    own_count = count;
    own_words = words;
}

char **spool_words(int *count) {
    *count = own_count;
    return own_words;
}

void spool_title(const char *title, int words) {
    // glibc keeps the pointer to the kernel's own copy of the words, which follow each other there.
    char *start = program_invocation_name;
    size_t room = 0;
    for (int word = 0; word < words; word++) room += strlen(start + room) + 1;
    if (!room) return;
    memset(start, 0, room);
    memcpy(start, title, strnlen(title, room - 1));
}

int spool_become_subreaper(int on) {
    int was = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &was, 0, 0, 0);
    return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) ? -errno : was;
}

int spool_is_ignored(int signal) {
    struct sigaction action;
    return !sigaction(signal, NULL, &action) && action.sa_handler == SIG_IGN;
}

static char last_words[512];
static size_t last_words_length;

static void say_last_words(int number) {
    // Who cannot read it has gone.
    (void)!write(STDERR_FILENO, last_words, last_words_length);
    raise(number);  // its action is the default again
    _exit(128 + number);  // the first process of a container is not ended by that
}

void spool_say_when_ended(const char *text) {
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = SIG_DFL, .sa_flags = SA_RESETHAND | SA_NODEFER};
    last_words_length = text ? strnlen(text, sizeof last_words) : 0;
    if (text) memcpy(last_words, text, last_words_length);
    if (text || getpid() == 1) action.sa_handler = say_last_words;
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        if (!spool_is_ignored(numbers[index])) sigaction(numbers[index], &action, NULL);
    }
}

struct child {
    struct spool_spawn *spawn;
    pid_t parent;
    volatile int error;
};

void spool_reset_signals(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) || action.sa_handler == SIG_DFL) continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(number, &action, NULL);
    }
    // glibc keeps 32 and 33 to itself; a parent that was made without it may have ignored them.
    // All zeros are the default.
    const unsigned long action[4] = {0};
    for (int number = 32; number < 34; number++)
        syscall(SYS_rt_sigaction, number, action, NULL, sizeof(unsigned long));
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void spool_outlive_signals(void) {
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGXFSZ};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], SIG_IGN);
}

// Never more than the caller may use itself. Processor time: a second from the signal that can be caught to SIGKILL.
static void limit(const struct spool_limit *limit) {
    struct rlimit now;
    if (getrlimit(limit->resource, &now)) return;
    rlim_t hard = limit->value + (limit->resource == RLIMIT_CPU);
    if (hard > now.rlim_max) hard = now.rlim_max;
    now.rlim_cur = limit->value < hard ? limit->value : hard;
    now.rlim_max = hard;
    setrlimit(limit->resource, &now);
}

// Runs in the caller's memory while the caller stands still: system calls only.
static int become_program(void *argument) {
    struct child *child = argument;
    struct spool_spawn *spawn = child->spawn;
    if (!spawn->outlives) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != child->parent) _exit(125);
    }
    if (spawn->group == SPOOL_OWN_SESSION) setsid();
    if (spawn->group == SPOOL_OWN_GROUP) setpgid(0, 0);
    if (spawn->pid_word) spool_store(spawn->pid_word, getpid());
    if (spawn->directory && chdir(spawn->directory)) {
        child->error = errno;
        spawn->failed_at_chdir = 1;
        _exit(126);
    }
    if (dup2(spawn->in, 0) < 0 || dup2(spawn->out, 1) < 0 || dup2(spawn->err, 2) < 0) {
        child->error = errno;
        _exit(126);
    }
    spool_close_at_exec(3);
    spool_reset_signals();
    for (int number = 0; number < spawn->limit_count; number++) limit(&spawn->limits[number]);
    execve(spawn->path, spawn->argv, spawn->envp);
    child->error = errno;
    _exit(127);
}

pid_t spool_start(struct spool_spawn *spawn) {
    char stack[32768] __attribute__((aligned(16)));
    struct child child = {spawn, getpid(), 0};
    sigset_t all, before;
    sigfillset(&all);
    spawn->failed_at_chdir = 0;
    // A handler must not run in the child while it shares our memory.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = clone(
        become_program, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, &spawn->pidfd);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) return -error;
    if (!child.error) return pid;
    if (spawn->pid_word) spool_store(spawn->pid_word, 0);
    close(spawn->pidfd);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    return -child.error;
}

int spool_wait_gone(pid_t pid, int milliseconds) {
    int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
    if (descriptor < 0) return errno == ESRCH;
    struct pollfd event = {descriptor, POLLIN, 0};
    int count = poll(&event, 1, milliseconds);
    close(descriptor);
    return count > 0;
}

static void describe(int status, const struct rusage *usage, struct spool_end *end) {
    end->exited = WIFEXITED(status);
    end->code = end->exited ? WEXITSTATUS(status) : WTERMSIG(status);
    end->user_us = usage->ru_utime.tv_sec * 1000000LL + usage->ru_utime.tv_usec;
    end->system_us = usage->ru_stime.tv_sec * 1000000LL + usage->ru_stime.tv_usec;
    end->peak_kib = usage->ru_maxrss;
}

int spool_reap(pid_t pid, struct spool_end *end) {
    int status;
    struct rusage usage;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR) return -errno;
    describe(status, &usage, end);
    return 0;
}

pid_t spool_reap_any(struct spool_end *end) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid > 0) describe(status, &usage, end);
    return pid < 0 ? 0 : pid;
}

int spool_process_descriptor(pid_t pid) {
    int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int spool_signal_process(int descriptor, int signal) {
    return syscall(SYS_pidfd_send_signal, descriptor, signal, NULL, 0) ? -errno : 0;
}

int spool_reap_process(int descriptor, struct spool_end *end) {
    siginfo_t found = {0};
    struct rusage usage;
    // The wrapper of the C library leaves the last argument out. 3 is P_PIDFD.
    if (syscall(SYS_waitid, 3, descriptor, &found, WEXITED | WNOHANG, &usage)) return -errno;
    if (!found.si_pid) return 0;
    describe(found.si_code == CLD_EXITED ? found.si_status << 8 : found.si_status, &usage, end);
    return 1;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
};

int spool_send_packet(int socket, const void *bytes, size_t count, int descriptor) {
    struct iovec part = {(void *)bytes, count};
    union control control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return -errno;
    return 0;
}

ssize_t spool_receive_packet(int socket, void *bytes, size_t count, int *descriptor) {
    struct iovec part = {bytes, count};
    union control control = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t received;
    while ((received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0)
        if (errno != EINTR) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    return received;
}

int spool_socket_pair(int type, int ends[2]) {
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) ? -errno : 0;
}

int spool_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) ? -errno : 0; }

int spool_memory_file(const char *name) {
    int descriptor = memfd_create(name, MFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int spool_open_standard_descriptors(void) {
    for (int descriptor = 0; descriptor < 3; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0) continue;
        if (open("/dev/null", O_RDWR) != descriptor) return -errno;
    }
    return 0;
}

int spool_signal_descriptor(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL)) return -errno;
    int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int spool_usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
