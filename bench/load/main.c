/* A WebSocket load for publish-subscribe servers. It reads its plan and then commands from standard input, a line
 * each, and answers every command with one line of JSON:
 *
 *   open                  dial all, wait until each has subscribed
 *   run UNDER_WAY SECONDS fan-out, with so many publications under way
 *   pace PER_SECOND SECONDS
 *   idle SECONDS          read and answer pings, nothing else
 *   lost SECONDS          wait until the server has dropped all
 *   missed PER_TOPIC UNDER_WAY
 *                         publish while the subscribers are away; each is acknowledged
 *   speak EACH            instead of open: every connection publishes, one after the other's acknowledgement
 *   reopen                dial all that are closed, each from its cursor, until all have caught up
 *   stall EVERY           every so many-th connection reads no more
 *   resume SECONDS        they read again
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

struct counters counters;
struct connection *connections, publisher = {.fd = -1};
struct histogram latency;
int epoll_fd, dialing, ready, last_payload_bytes;
bool measuring;
uint64_t published, completed;
uint32_t remaining[UNDER_WAY_SLOTS], *subscribers;

static void prepare(void)
{
    if (connections != NULL)
        return;
    connections = calloc(plan.connections, sizeof *connections);
    subscribers = calloc(plan.topics, sizeof *subscribers);
    for (int i = 0; i < plan.connections; i++) {
        connections[i].fd = -1;
        connections[i].index = i;
    }
}

static void idle(double seconds)
{
    uint64_t end_ns = clock_ns() + (uint64_t)(seconds * 1e9);
    while (clock_ns() < end_ns)
        turn(20);
    printf("{\"command\":\"idle\",\"ready\":%d}\n", ready);
}

static bool obey(const char *line)
{
    char command[32];
    double first = 0, second = 0;
    if (sscanf(line, "%31s %lf %lf", command, &first, &second) < 1)
        return false;
    if (strcmp(command, "open") == 0)
        prepare(), open_all(false);
    else if (strcmp(command, "reopen") == 0)
        open_all(true);
    else if (strcmp(command, "run") == 0)
        run_closed((int)first, second);
    else if (strcmp(command, "pace") == 0)
        run_paced(first, second);
    else if (strcmp(command, "idle") == 0)
        idle(first);
    else if (strcmp(command, "lost") == 0)
        wait_lost(first);
    else if (strcmp(command, "missed") == 0)
        prepare(), publish_missed((int)first, second > 0 ? (int)second : 64);
    else if (strcmp(command, "speak") == 0)
        prepare(), speak((int)first);
    else if (strcmp(command, "stall") == 0)
        stall((int)first);
    else if (strcmp(command, "resume") == 0)
        resume(first);
    else
        return false;
    return true;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "quit") == 0)
            break;
        if (!obey(line))
            plan_set(line);
    }
    for (int i = 0; connections != NULL && i < plan.connections; i++)
        drop(&connections[i]);
    drop(&publisher);
    return 0;
}
