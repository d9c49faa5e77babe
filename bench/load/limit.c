/* The limit: a WebSocket server that does nothing but write.
 *
 *   limit PORT          one write a delivery, at once
 *   limit PORT joined   all that one turn of the loop has for a connection in one write
 *
 * It speaks the benchmark's words and no others: a frame that holds "subscribe" names its topic after '#', and one
 * that holds "publish" is sent on, as it came, to all that have that topic. It checks nothing, not even a handshake.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 4096
#define TOPICS_MAX 65536
#define DESCRIPTORS_MAX 65536
#define ROOM_BYTES (1 << 18)

struct topic { int *members; int count; };

static struct topic topics[TOPICS_MAX];
static bool upgraded[DESCRIPTORS_MAX];
static int topic_of[DESCRIPTORS_MAX]; /* plus 1; 0 for none */
static char room[ROOM_BYTES];
static struct { char *start; size_t bytes; } kept[DESCRIPTORS_MAX]; /* of a frame whose end has not arrived */
static int dirty[TOPICS_MAX], dirty_count; /* topics with frames that wait for the end of the turn */
static struct { char *bytes; size_t used, size; } waiting[TOPICS_MAX];
static bool joined;

static void join_topic(int fd, int number)
{
    struct topic *topic = &topics[number % TOPICS_MAX];
    topic->members = realloc(topic->members, (topic->count + 1) * sizeof(int));
    topic->members[topic->count++] = fd;
    topic_of[fd] = number % TOPICS_MAX + 1;
    write(fd, "\x81\x0asubscribed", 12);
}

static void leave(int fd)
{
    struct topic *topic = &topics[topic_of[fd] ? topic_of[fd] - 1 : 0];
    for (int i = 0; topic_of[fd] && i < topic->count; i++)
        if (topic->members[i] == fd)
            topic->members[i--] = topic->members[--topic->count];
    topic_of[fd] = 0;
    upgraded[fd] = false;
    kept[fd].bytes = 0;
    close(fd);
}

static void fan_out(int number, const char *frame, size_t bytes)
{
    for (int i = 0; i < topics[number].count; i++)
        send(topics[number].members[i], frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hold(int number, const char *frame, size_t bytes)
{
    if (waiting[number].used == 0)
        dirty[dirty_count++] = number;
    if (waiting[number].used + bytes > waiting[number].size) {
        waiting[number].size = (waiting[number].used + bytes) * 2;
        waiting[number].bytes = realloc(waiting[number].bytes, waiting[number].size);
    }
    memcpy(waiting[number].bytes + waiting[number].used, frame, bytes);
    waiting[number].used += bytes;
}

static void end_turn(void)
{
    for (int i = 0; i < dirty_count; i++) {
        fan_out(dirty[i], waiting[dirty[i]].bytes, waiting[dirty[i]].used);
        waiting[dirty[i]].used = 0;
    }
    dirty_count = 0;
}

static void heard(int fd, unsigned char *text, size_t bytes)
{
    unsigned char head[4] = {0x81};
    unsigned char *mark = memchr(text, '#', bytes);
    int number = mark ? atoi((char *)mark + 1) % TOPICS_MAX : 0;
    if (memmem(text, bytes, "subscribe", 9) != NULL) {
        join_topic(fd, number);
        return;
    }
    size_t head_bytes = bytes < 126 ? 2 : 4;
    head[1] = bytes < 126 ? bytes : 126;
    head[2] = bytes >> 8;
    head[3] = bytes & 255;
    memcpy(text - head_bytes, head, head_bytes); /* the place of the mask, which has been read */
    (joined ? hold : fan_out)(number, (char *)text - head_bytes, bytes + head_bytes);
}

/* One frame of up to 64 KB; answers what was used, 0 where its end has not arrived. */
static size_t take_frame(int fd, unsigned char *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    size_t head = 2, length = data[1] & 127;
    if (length == 126) {
        head = 4;
        length = (size_t)data[2] << 8 | data[3];
    }
    if (bytes < head + 4 + length)
        return 0;
    unsigned char *mask = data + head, *text = data + head + 4;
    for (size_t i = 0; i < length; i++)
        text[i] ^= mask[i % 4];
    if ((data[0] & 15) == 1)
        heard(fd, text, length);
    return head + 4 + length;
}

static void on_readable(int fd)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    size_t have = kept[fd].bytes, used = 0, step = 1;
    memcpy(room, kept[fd].start, have);
    ssize_t got = recv(fd, room + have, sizeof room - have, 0);
    if (got <= 0) {
        leave(fd);
        return;
    }
    if (!upgraded[fd]) {
        upgraded[fd] = true;
        write(fd, answer, sizeof answer - 1);
        return;
    }
    for (have += got; used < have && step > 0; used += step)
        step = take_frame(fd, (unsigned char *)room + used, have - used);
    kept[fd].bytes = have - used;
    if (kept[fd].bytes > 0) {
        kept[fd].start = realloc(kept[fd].start, kept[fd].bytes);
        memcpy(kept[fd].start, room + used, kept[fd].bytes);
    }
}

int main(int count, char **arguments)
{
    static struct epoll_event events[EVENTS_MAX];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll_fd = epoll_create1(0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0)};
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    joined = count > 2 && strcmp(arguments[2], "joined") == 0;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 2048) < 0) {
        perror("limit");
        return 1;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                on_readable(events[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0)
                continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        }
        end_turn();
    }
}
