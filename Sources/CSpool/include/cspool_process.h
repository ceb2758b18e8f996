// cspool_process.h - processes: fork, exec, descriptors between processes, how a process ended.
//
// Every descriptor made here is close-on-exec. Functions return 0 or a useful number, or a negated errno.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>

/// fork(2). Only from a process with one thread.
pid_t spool_fork(void);

/// Forks twice, so that the new process is adopted by the nearest subreaper above the caller, and runs `body` there on
/// a fresh thread (a forked main thread keeps the thread id that locks of the Swift runtime have cached). If it `dies`
/// it is killed with the one that adopted it. ps shows it as `name`, 15 bytes. `body` must not return. Returns the
/// process id, or a negated errno. Only from a process with one thread.
pid_t spool_fork_adopted(const char *name, int dies, void (*body)(void *), void *context);

/// Forks, and runs `body` in the child on a fresh thread; if it `dies` it is killed when the calling thread ends.
/// Returns the process id, or a negated errno. `body` must not return. Only from a process with one thread.
pid_t spool_fork_child(int dies, void (*body)(void *), void *context);

/// From now on the caller is killed when its parent dies (the thread that made it, unless it was adopted: then the
/// whole process). See prctl(2), PR_SET_PDEATHSIG.
void spool_die_with_parent(void);

/// The words that this process was started with. Swift searches its own stack for them by /proc/self/maps and the
/// environment's address, and has none when it is not there, or when a preloaded library has changed the environment.
char **spool_words(int *count);

/// Writes a title over the first words of the command line that ps shows; what does not fit is cut.
void spool_title(const char *title, int words);

/// Whether orphans below the caller become its children; returns what it was before. See prctl(2),
/// PR_SET_CHILD_SUBREAPER.
int spool_become_subreaper(int on);

/// Where a program belongs: what a terminal sends its signals to.
enum { SPOOL_OWN_GROUP, SPOOL_OWN_SESSION, SPOOL_SAME_GROUP };

/// What a program may use at most: RLIMIT_AS and so on, see setrlimit(2).
struct spool_limit {
    int resource;
    uint64_t value;
};

/// A program to start. `pid_word`, if not NULL, gets the process id before the program begins.
struct spool_spawn {
    const char *path;
    char *const *argv;
    char *const *envp;
    const char *directory;  // NULL: the caller's
    int in, out, err;       // become 0, 1, 2; nothing else is passed on
    int64_t *pid_word;
    int outlives;           // 1: not killed when the calling thread dies
    int group;              // SPOOL_OWN_GROUP and so on; a session of its own has no terminal
    const struct spool_limit *limits;
    int limit_count;
    int pidfd;              // out: readable when the program has ended
    int failed_at_chdir;    // out: what failed was the directory
};

/// Starts a program with default signal handlers and an empty signal mask, killed when
/// the calling thread dies. Costs the same from a large process as from a small one (CLONE_VM | CLONE_VFORK).
/// Returns the process id.
pid_t spool_start(struct spool_spawn *spawn);

/// Waits until a process, whoever's child it is, has ended; 1 if it has, 0 when the time is up.
int spool_wait_gone(pid_t pid, int milliseconds);

/// A descriptor that stands for a process, and is readable when it has ended. See pidfd_open(2).
int spool_process_descriptor(pid_t pid);

/// See pidfd_send_signal(2).
int spool_signal_process(int descriptor, int signal);

/// How a process ended and what it used.
struct spool_end {
    int exited;       // 1: `code` is the exit status; 0: `code` is the signal
    int code;
    int64_t user_us, system_us, peak_kib;
};

/// Waits for a child and frees its id.
int spool_reap(pid_t pid, struct spool_end *end);

/// Frees the id of a child that has ended: 1. 0: it lives. -ECHILD: somebody else has waited for it.
int spool_reap_process(int descriptor, struct spool_end *end);

/// Takes one child that has ended, whichever it is; 0 if none has.
pid_t spool_reap_any(struct spool_end *end);

/// Sends one packet, with a descriptor unless `descriptor` is negative.
int spool_send_packet(int socket, const void *bytes, size_t count, int descriptor);

/// Receives one packet into `bytes`; returns its length, 0 at the end. `descriptor` is -1 if none came along.
ssize_t spool_receive_packet(int socket, void *bytes, size_t count, int *descriptor);

/// A connected pair of unix sockets of this type (SOCK_STREAM or SOCK_SEQPACKET).
int spool_socket_pair(int type, int ends[2]);

int spool_pipe(int ends[2]);

/// An empty file in memory.
int spool_memory_file(const char *name);

/// Opens /dev/null for each of 0, 1, 2 that is closed, so that no other file takes its number.
int spool_open_standard_descriptors(void);

/// Closes every descriptor from `first` on.
void spool_close_from(int first);

/// Has execve(2) close every descriptor from `first` on. Of system calls only, for a child in its parent's memory.
void spool_close_at_exec(int first);

/// Closes a descriptor whose closing takes long (inotify: the kernel waits for its readers, 10 to 20 ms) by leaving the
/// last copy to a child that ends after this process. Only from a process that is about to end.
void spool_close_elsewhere(int descriptor);

/// A descriptor that reads these signals, which are blocked for the calling thread from now on.
int spool_signal_descriptor(const int *signals, int count);

/// Whether the signal is ignored, as nohup(1) asks for SIGHUP.
int spool_is_ignored(int signal);

/// From now on INT, TERM and HUP write this on standard error before they end the process, unless they are ignored.
/// NULL: no more; the first process of a container is ended all the same, which they do not do by themselves.
/// Only from a process with one thread.
void spool_say_when_ended(const char *text);

/// Default handlers for all signals and an empty mask, whatever the caller inherited.
void spool_reset_signals(void);

/// Ignores what a whole group or service is sent when it shall end, for a process that ends with another one, and what
/// comes of a file that must not be longer. Programs that are executed get the default.
void spool_outlive_signals(void);

/// Cores that this process may use.
int spool_usable_cores(void);

static inline void spool_store(int64_t *word, int64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
static inline int64_t spool_load(int64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
/// 1: the word was `from` and is `to` now.
static inline int spool_swap_if(int64_t *word, int64_t from, int64_t to) {
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
/// Both give what the word was.
static inline int64_t spool_set_bits(int64_t *word, int64_t bits) {
    return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}
static inline int64_t spool_keep_bits(int64_t *word, int64_t bits) {
    return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}
