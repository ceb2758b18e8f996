// message.c - bytes with descriptors over unix sockets, and such sockets by name.
#define _GNU_SOURCE
#include "cspool.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union control {
    char bytes[CMSG_SPACE(sizeof(int) * SPOOL_MOST_DESCRIPTORS)];
    struct cmsghdr header;
};

ssize_t spool_send_parts(
    int socket, const void *first, size_t first_count, const void *second, size_t second_count, const int *descriptors,
    size_t descriptor_count) {
    struct iovec parts[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    union control control;
    if (descriptor_count) {
        size_t size = sizeof(int) * descriptor_count;
        memset(&control, 0, CMSG_SPACE(size));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), descriptors, size);
    }
    ssize_t sent;
    while ((sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0)
        if (errno != EINTR) return -errno;
    return sent;
}

ssize_t spool_receive_part(int socket, void *bytes, size_t count, int *descriptors, int *descriptor_count) {
    struct iovec part = {bytes, count};
    union control control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor_count = 0;
    ssize_t received;
    while ((received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT)) < 0)
        if (errno != EINTR) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        size_t size = header->cmsg_len - CMSG_LEN(0);
        memcpy(descriptors, CMSG_DATA(header), size);
        *descriptor_count = (int)(size / sizeof(int));
    }
    if (message.msg_flags & MSG_CTRUNC) {
        while (*descriptor_count > 0) close(descriptors[--*descriptor_count]);
        *descriptor_count = -1;
    }
    return received;
}

int spool_is_stream(int descriptor) {
    int domain = 0, type = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size)) return 0;
    size = sizeof(int);
    return !getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) && domain == AF_UNIX && type == SOCK_STREAM;
}

static int named(const char *name, size_t count, int flags, struct sockaddr_un *address, socklen_t *size) {
    // Without a name the kernel makes an abstract one of its own.
    if (count > sizeof address->sun_path - 1) return -ENAMETOOLONG;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, count);
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + (count && name[0] ? 1 : 0));
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    return descriptor < 0 ? -errno : descriptor;
}

static int given_up(int descriptor) {
    int error = errno;
    close(descriptor);
    return -error;
}

int spool_listen(const char *name, size_t count) {
    struct sockaddr_un address;
    socklen_t size;
    int descriptor = named(name, count, SOCK_NONBLOCK, &address, &size);
    if (descriptor < 0) return descriptor;
    if (bind(descriptor, (struct sockaddr *)&address, size) || listen(descriptor, 128)) return given_up(descriptor);
    return descriptor;
}

int spool_connect(const char *name, size_t count) {
    struct sockaddr_un address;
    socklen_t size;
    int descriptor = named(name, count, 0, &address, &size);
    if (descriptor < 0) return descriptor;
    while (connect(descriptor, (struct sockaddr *)&address, size))
        if (errno != EINTR) return given_up(descriptor);
    return descriptor;
}

int spool_accept(int socket) {
    int descriptor;
    while ((descriptor = accept4(socket, NULL, NULL, SOCK_CLOEXEC)) < 0)
        if (errno != EINTR && errno != ECONNABORTED) return -errno;
    return descriptor;
}

ssize_t spool_name_of(int socket, char *name) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    if (getsockname(socket, (struct sockaddr *)&address, &size)) return -errno;
    size_t count = size - offsetof(struct sockaddr_un, sun_path);
    if (count && address.sun_path[0]) count = strnlen(address.sun_path, count);
    memcpy(name, address.sun_path, count);
    return (ssize_t)count;
}

int spool_peer(int socket, uid_t *user) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return -errno;
    *user = peer.uid;
    return 0;
}

int spool_wait_ready(int descriptor, int events, int other, int milliseconds) {
    struct pollfd ready[2] = {{descriptor, (short)events, 0}, {other, POLLIN, 0}};
    int count = poll(ready, 2, milliseconds);
    return count < 0 ? -errno : count;
}
