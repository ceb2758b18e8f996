// cspool_message.h - bytes with descriptors over unix sockets, and such sockets by name.
//
// Every descriptor made here is close-on-exec. Functions return 0 or a useful number, or a negated errno. None waits
// but spool_connect.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Most descriptors that go along at once. See SCM_MAX_FD in unix(7).
#define SPOOL_MOST_DESCRIPTORS 253

/// Sends two parts, one behind the other, with copies of descriptors; returns how much of both was sent.
ssize_t spool_send_parts(
    int socket, const void *first, size_t first_count, const void *second, size_t second_count, const int *descriptors,
    size_t descriptor_count);

/// Receives up to `count` bytes; 0 is the end. `descriptors` has room for SPOOL_MOST_DESCRIPTORS, and
/// `descriptor_count` says how many came, -1 if some were lost because the table of descriptors is full.
ssize_t spool_receive_part(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count);

/// Whether this is a unix socket that carries a stream of bytes: 1, or 0.
int spool_is_stream(int descriptor);

/// A socket that listens under a name: a path, with a first byte of 0 an abstract name, and
/// without a byte an abstract name that the kernel chooses. See unix(7).
int spool_listen(const char *name, size_t count);

/// A socket that is connected to the one that listens under a name.
int spool_connect(const char *name, size_t count);

/// Takes a connection; -EAGAIN if there is none.
int spool_accept(int socket);

/// The name under which a socket listens: how many bytes of `name` it takes, which has room for 108.
ssize_t spool_name_of(int socket, char *name);

/// The user of the process at the other end, as it was when it connected.
int spool_peer(int socket, uid_t *user);

/// Waits until a descriptor is ready for `events` of poll(2), or the other one can be read (negative: there is none).
/// 0: the time is up; -EINTR: a signal came.
int spool_wait_ready(int descriptor, int events, int other, int milliseconds);
