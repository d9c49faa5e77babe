/* What the load does: opens, publishes with so many under way or at a pace, stalls, comes back; and says what it saw. */
#define _GNU_SOURCE
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#define EVENTS_MAX 4096
#define NS 1e9
#define WARM_UP_SHARE 0.2         /* of the measured time, before it */
#define MARK_BYTES 34

struct usage { double cpu_seconds; uint64_t at_ns; };

static uint64_t news_ns; /* when something came last */

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + now.tv_nsec;
}

static struct usage usage_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    return (struct usage){seconds + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6, clock_ns()};
}

/* Wait for sockets once, and do what they ask; then say what was kept for the publisher. */
void turn(int timeout_ms)
{
    static struct epoll_event events[EVENTS_MAX];
    flush_frames(&publisher);
    int count = epoll_wait(epoll_fd, events, EVENTS_MAX, publisher.unsent_bytes ? 1 : timeout_ms);
    for (int i = 0; i < count; i++)
        on_socket(events[i].data.ptr, events[i].events);
    if (count > 0)
        news_ns = clock_ns();
}

/* Without news for so long: what is missing then is lost. */
static bool silent(void)
{
    return clock_ns() - news_ns > plan.patience_ms * 1000000ull;
}

static void publish_one(uint64_t at_ns)
{
    static char text[1 << 17], mark[1 << 16];
    static int padding_bytes = -1;
    int topic = published % plan.topics;
    if (padding_bytes < 0 && last_payload_bytes > 0) /* the first one had none: now frames get the wanted size */
        padding_bytes = plan.frame_bytes > last_payload_bytes ? plan.frame_bytes - last_payload_bytes : 0;
    snprintf(mark, sizeof mark, "@@%016llx%016llx", (unsigned long long)published, (unsigned long long)at_ns);
    if (padding_bytes > 0) {
        memset(mark + MARK_BYTES, 'x', padding_bytes);
        mark[MARK_BYTES + padding_bytes] = 0;
    }
    publisher.index = topic;
    size_t bytes = expand(text, sizeof text, plan.publish, &publisher, mark);
    remaining[published % UNDER_WAY_SLOTS] = subscribers[topic];
    published++;
    if (subscribers[topic] == 0)
        completed++;
    append_frame(&publisher, text, bytes);
}

static void drain(void)
{
    news_ns = clock_ns();
    while (completed < published && !silent())
        turn(100);
}

/* What never came, counted per connection; the next run starts clean. */
static uint64_t count_lost(void)
{
    uint64_t lost = counters.missing;
    for (int i = 0; i < plan.connections; i++) {
        struct connection *one = &connections[i];
        if (one->state == READY && !one->stalled)
            for (; one->next < published; one->next += plan.topics)
                lost++;
    }
    counters.missing = 0;
    completed = published;
    return lost;
}

static void begin(void)
{
    memset(&latency, 0, sizeof latency);
    memset(&counters, 0, sizeof counters);
    if (last_payload_bytes == 0) {
        publish_one(clock_ns());
        drain();
    }
}

static void report(const char *name, struct usage from, uint64_t delivered, uint64_t publications)
{
    struct usage to = usage_now();
    double seconds = (to.at_ns - from.at_ns) / NS, busy = (to.cpu_seconds - from.cpu_seconds) / seconds;
    measuring = false;
    drain();
    uint64_t lost = count_lost();
    printf("{\"command\":\"%s\",\"seconds\":%.4f,\"deliveries\":%llu,\"deliveries_per_second\":%.1f,"
           "\"publications_per_second\":%.2f,\"deliveries_all\":%llu,\"frame_bytes\":%d,\"load_cpu_share\":%.3f,"
           "\"lost\":%llu,\"doubled\":%llu,\"reordered\":%llu,\"stray\":%llu,\"latency_us\":{",
           name, seconds, (unsigned long long)delivered, delivered / seconds, publications / seconds,
           (unsigned long long)counters.delivered, last_payload_bytes, busy, (unsigned long long)lost,
           (unsigned long long)counters.doubled, (unsigned long long)counters.reordered,
           (unsigned long long)counters.stray);
    printf("\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}}\n", histogram_at(&latency, 0.5) / 1e3,
           histogram_at(&latency, 0.9) / 1e3, histogram_at(&latency, 0.99) / 1e3,
           histogram_at(&latency, 0.999) / 1e3, latency.maximum_ns / 1e3);
}

/* Keep so many publications under way: the next goes out when all subscribers have got an earlier one. */
void run_closed(int under_way, double seconds)
{
    begin();
    struct usage from = usage_now();
    uint64_t measure_ns = from.at_ns + (uint64_t)(seconds * WARM_UP_SHARE * NS);
    uint64_t end_ns = measure_ns + (uint64_t)(seconds * NS), delivered = 0, publications = 0, now_ns;
    news_ns = from.at_ns;
    while ((now_ns = clock_ns()) < end_ns && !silent()) {
        if (!measuring && now_ns >= measure_ns) {
            measuring = true;
            from = usage_now();
            delivered = counters.delivered;
            publications = completed;
        }
        while (published - completed < (uint64_t)under_way)
            publish_one(now_ns);
        turn(100);
    }
    report("run", from, counters.delivered - delivered, completed - publications);
}

/* Publish so many a second whatever comes back; a latency counts from when its publication was due. */
void run_paced(double per_second, double seconds)
{
    begin();
    struct usage from = usage_now();
    uint64_t measure_ns = from.at_ns + (uint64_t)(seconds * WARM_UP_SHARE * NS);
    uint64_t end_ns = measure_ns + (uint64_t)(seconds * NS), delivered = 0, publications = 0, now_ns;
    double due_ns = from.at_ns;
    news_ns = from.at_ns;
    while ((now_ns = clock_ns()) < end_ns && published - completed < UNDER_WAY_SLOTS / 2) {
        if (!measuring && now_ns >= measure_ns) {
            measuring = true;
            from = usage_now();
            delivered = counters.delivered;
            publications = completed;
        }
        for (; due_ns <= now_ns; due_ns += NS / per_second)
            publish_one((uint64_t)due_ns);
        turn(0);
    }
    report("pace", from, counters.delivered - delivered, completed - publications);
}

static void dial_publisher(void)
{
    publisher.publishes = true;
    publisher.index = 0;
    dial(&publisher, &plan.publisher_script);
    news_ns = clock_ns();
    while (publisher.state != READY && publisher.state != CLOSED && !silent())
        turn(100);
    if (publisher.state != READY) {
        fprintf(stderr, "load: the publisher was not let in\n");
        exit(3);
    }
}

static uint64_t awaited_deliveries(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < plan.connections; i++)
        if (connections[i].state == CLOSED && connections[i].next < published)
            sum += (published - 1 - connections[i].next) / plan.topics + 1;
    return sum;
}

/* Dial all that are closed. Coming back, they name their cursors, and the time ends when the last has caught up. */
void open_all(bool again)
{
    memset(&counters, 0, sizeof counters);
    if (publisher.state == CLOSED)
        dial_publisher();
    uint64_t awaited = again ? awaited_deliveries() : 0, begun_ns = clock_ns(), ready_ns = begun_ns, got_ns = begun_ns;
    int before = ready, next = 0, dialed = 0;
    uint64_t seen = 0, settled = 0;
    news_ns = begun_ns;
    while ((next < plan.connections || dialing > 0 || counters.delivered < awaited) && !silent()) {
        for (; next < plan.connections && dialing < plan.dialing_max; next++) {
            if (connections[next].state != CLOSED)
                continue;
            connections[next].stalled = false;
            dial(&connections[next], again ? &plan.reopen_script : &plan.script);
            dialed++;
        }
        turn(100);
        if ((uint64_t)ready != settled) {
            settled = ready;
            ready_ns = clock_ns();
        }
        if (counters.delivered != seen) {
            seen = counters.delivered;
            got_ns = clock_ns();
        }
    }
    if (!again)
        for (int i = 0; i < plan.connections; i++)
            expect_from(&connections[i], published);
    uint64_t recovered = counters.delivered, last_ns = got_ns > ready_ns ? got_ns : ready_ns;
    double seconds = (last_ns - begun_ns) / NS;
    uint64_t lost = count_lost();
    printf("{\"command\":\"%s\",\"dialed\":%d,\"ready\":%d,\"failed\":%llu,\"seconds\":%.4f,"
           "\"connections_per_second\":%.1f,\"recovered_events\":%llu,\"awaited_events\":%llu,\"unrecovered\":%llu,"
           "\"lost\":%llu,\"doubled\":%llu,\"reordered\":%llu}\n",
           again ? "reopen" : "open", dialed, ready - before, (unsigned long long)counters.failed, seconds,
           (ready - before) / seconds, (unsigned long long)recovered, (unsigned long long)awaited,
           (unsigned long long)counters.unrecovered, (unsigned long long)lost, (unsigned long long)counters.doubled,
           (unsigned long long)counters.reordered);
}

/* Publish while nobody listens; so many wait for their acknowledgement. */
void publish_missed(int per_topic, int under_way)
{
    if (publisher.state == CLOSED)
        dial_publisher();
    counters.acknowledged = 0;
    uint64_t wanted = (uint64_t)per_topic * plan.topics, sent = 0, begun_ns = news_ns = clock_ns();
    while (counters.acknowledged < wanted && !silent()) {
        for (; sent < wanted && sent < counters.acknowledged + under_way; sent++)
            publish_one(clock_ns());
        turn(100);
    }
    printf("{\"command\":\"missed\",\"published\":%llu,\"acknowledged\":%llu,\"seconds\":%.4f}\n",
           (unsigned long long)sent, (unsigned long long)counters.acknowledged, (clock_ns() - begun_ns) / NS);
}

/* The next of those that a connection owes. */
void publish_as(struct connection *connection)
{
    char text[8192];
    size_t bytes = expand(text, sizeof text, plan.publish, connection, "stored");
    connection->owes--;
    append_frame(connection, text, bytes);
    flush_frames(connection);
}

/* Every connection is a publisher, and has one publication under way. */
void speak(int each)
{
    for (int i = 0; i < plan.connections; i++) {
        connections[i].publishes = true;
        connections[i].owes = each;
        dial(&connections[i], &plan.publisher_script);
    }
    news_ns = clock_ns();
    while (dialing > 0 && !silent())
        turn(100);
    counters.acknowledged = 0;
    uint64_t begun_ns = clock_ns(), wanted = (uint64_t)each * plan.connections;
    for (int i = 0; i < plan.connections; i++)
        publish_as(&connections[i]);
    while (counters.acknowledged < wanted && !silent())
        turn(100);
    printf("{\"command\":\"speak\",\"published\":%llu,\"acknowledged\":%llu,\"seconds\":%.4f}\n",
           (unsigned long long)wanted, (unsigned long long)counters.acknowledged, (clock_ns() - begun_ns) / NS);
}

void wait_lost(double seconds)
{
    uint64_t end_ns = clock_ns() + (uint64_t)(seconds * NS);
    while (ready > 0 && clock_ns() < end_ns)
        turn(100);
    printf("{\"command\":\"lost\",\"still_open\":%d}\n", ready);
}

/* Every so many-th connection reads no more. */
void stall(int every)
{
    int count = 0;
    for (int i = 0; i < plan.connections; i += every)
        if (connections[i].state == READY && !connections[i].stalled) {
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connections[i].fd, NULL);
            connections[i].stalled = true;
            subscribers[i % plan.topics]--;
            count++;
        }
    printf("{\"command\":\"stall\",\"stalled\":%d}\n", count);
}

/* The stalled ones read again: how each was treated meanwhile. */
void resume(double seconds)
{
    int open = 0, slow = 0, reset = 0, other = 0;
    for (int i = 0; i < plan.connections; i++)
        if (connections[i].stalled && connections[i].state == READY) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event);
        }
    uint64_t end_ns = clock_ns() + (uint64_t)(seconds * NS);
    while (clock_ns() < end_ns)
        turn(10);
    for (int i = 0; i < plan.connections; i++) {
        struct connection *one = &connections[i];
        if (!one->stalled)
            continue;
        if (one->state == READY) {
            open++;
            subscribers[i % plan.topics]++;
            one->stalled = false;
        } else {
            *(one->close_code == 4503 ? &slow : one->close_code == 0 ? &reset : &other) += 1;
        }
    }
    printf("{\"command\":\"resume\",\"open\":%d,\"closed_4503\":%d,\"reset\":%d,\"closed_other\":%d}\n", open, slow, reset,
           other);
}
