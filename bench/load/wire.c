/* WebSocket as a client speaks it (RFC 6455), as far as a load needs: text, ping, close; no fragments. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MASK_BYTES 4
#define SOURCE_ADDRESSES 16 /* one address has 28,000 ports; those of the run before may still be held */

static const unsigned char mask[MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};
static char read_buffer[READ_BYTES + 65536];

static void put_frame(struct connection *connection, int opcode, const char *payload, size_t bytes)
{
    if (connection->unsent_bytes + bytes + 14 > connection->unsent_size) {
        connection->unsent_size = (connection->unsent_bytes + bytes + 14) * 2;
        connection->unsent = realloc(connection->unsent, connection->unsent_size);
    }
    unsigned char *out = (unsigned char *)connection->unsent + connection->unsent_bytes;
    *out++ = 0x80 | opcode;
    if (bytes < 126) {
        *out++ = 0x80 | bytes;
    } else {
        *out++ = 0x80 | 126;
        *out++ = bytes >> 8;
        *out++ = bytes & 255;
    }
    memcpy(out, mask, MASK_BYTES);
    out += MASK_BYTES;
    for (size_t i = 0; i < bytes; i++)
        out[i] = payload[i] ^ mask[i % MASK_BYTES];
    connection->unsent_bytes = (char *)out + bytes - connection->unsent;
}

/* Keep a text frame until flush_frames: what one turn says leaves in one write. */
void append_frame(struct connection *connection, const char *text, size_t bytes)
{
    put_frame(connection, 1, text, bytes);
}

void flush_frames(struct connection *connection)
{
    if (connection->unsent_bytes == 0 || connection->fd < 0)
        return;
    ssize_t taken = send(connection->fd, connection->unsent, connection->unsent_bytes, MSG_NOSIGNAL);
    if (taken < 0)
        return; /* EAGAIN: the next turn tries again; a broken connection is told by its read */
    memmove(connection->unsent, connection->unsent + taken, connection->unsent_bytes - taken);
    connection->unsent_bytes -= taken;
    if (connection->unsent_bytes == 0 && !connection->publishes) {
        free(connection->unsent);
        connection->unsent = NULL;
        connection->unsent_size = 0;
    }
}

void dial(struct connection *connection, const struct script *script)
{
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(plan.port)};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + connection->index % SOURCE_ADDRESSES);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) {
        perror("load: socket");
        exit(3);
    }
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (plan.receive_buffer_bytes)
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &plan.receive_buffer_bytes, sizeof(int));
    bind(connection->fd, (struct sockaddr *)&source, sizeof source);
    connection->script = script;
    connection->step = 0;
    connection->close_code = 0;
    connection->state = CONNECTING;
    dialing++;
    if (connect(connection->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
        counters.failed++;
        drop(connection);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
}

/* Close by a reset, so that no port waits in TIME_WAIT for the next run. */
void drop(struct connection *connection)
{
    if (connection->state == CLOSED)
        return;
    if (connection->state == READY)
        ready--;
    else
        dialing--;
    if (connection->state == READY && !connection->stalled && !connection->publishes)
        subscribers[connection->index % plan.topics]--;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(connection->fd);
    free(connection->kept);
    connection->kept = NULL;
    connection->kept_bytes = connection->unsent_bytes = 0;
    connection->fd = -1;
    connection->state = CLOSED;
}

static void say_upgrade(struct connection *connection)
{
    char path[10240], request[12288];
    const char *template = connection->publishes && plan.publisher_path ? plan.publisher_path : plan.path;
    expand(path, sizeof path, template, connection, NULL);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          path, plan.port);
    if (send(connection->fd, request, length, MSG_NOSIGNAL) != length) {
        counters.failed++;
        drop(connection);
        return;
    }
    connection->state = UPGRADING;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
}

/* The bytes of the answer's head; 0 while it is not whole. A refusal drops the connection. */
static size_t take_answer(struct connection *connection, const char *data, size_t bytes)
{
    const char *end = memmem(data, bytes, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (bytes < 12 || memcmp(data + 9, "101", 3) != 0) {
        counters.failed++;
        drop(connection);
        return bytes;
    }
    connection->state = TALKING;
    advance(connection);
    return end + 4 - data;
}

/* One whole frame: answers its bytes, 0 where the end has not arrived. */
static size_t take_frame(struct connection *connection, const unsigned char *data, size_t bytes, uint64_t now_ns)
{
    if (bytes < 2)
        return 0;
    size_t head = 2, length = data[1] & 127;
    if (length == 126) {
        head = 4;
        if (bytes < head)
            return 0;
        length = (size_t)data[2] << 8 | data[3];
    } else if (length == 127) {
        head = 10;
        if (bytes < head)
            return 0;
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | data[i];
    }
    if (bytes < head + length)
        return 0;
    const char *payload = (const char *)data + head;
    int opcode = data[0] & 15;
    if (opcode == 1 || opcode == 2) {
        on_text(connection, payload, length, now_ns);
    } else if (opcode == 9) {
        counters.pings++;
        put_frame(connection, 10, payload, length);
        flush_frames(connection);
    } else if (opcode == 8 && length >= 2) {
        connection->close_code = (unsigned char)payload[0] << 8 | (unsigned char)payload[1];
    }
    return head + length;
}

static void keep(struct connection *connection, const char *data, size_t bytes)
{
    if (bytes == 0) {
        free(connection->kept);
        connection->kept = NULL;
    } else {
        connection->kept = realloc(connection->kept, bytes);
        memcpy(connection->kept, data, bytes);
    }
    connection->kept_bytes = bytes;
}

static void on_readable(struct connection *connection)
{
    size_t have = connection->kept_bytes;
    if (have > 0)
        memcpy(read_buffer, connection->kept, have);
    ssize_t got = recv(connection->fd, read_buffer + have, sizeof read_buffer - have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (connection->state != READY)
            counters.failed++;
        drop(connection);
        return;
    }
    uint64_t now_ns = clock_ns();
    size_t bytes = have + got, used = 0, step = 1;
    while (used < bytes && step > 0 && connection->state != CLOSED) {
        if (connection->state == UPGRADING)
            step = take_answer(connection, read_buffer + used, bytes - used);
        else
            step = take_frame(connection, (unsigned char *)read_buffer + used, bytes - used, now_ns);
        used += step;
    }
    if (connection->state != CLOSED && (used < bytes || connection->kept != NULL))
        keep(connection, read_buffer + used, bytes - used);
}

void on_socket(struct connection *connection, uint32_t events)
{
    if (connection->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            counters.failed++;
            drop(connection);
        } else if (events & EPOLLOUT) {
            say_upgrade(connection);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(connection);
}
