/* What is said to a server and heard from it, in the words of the plan. */
#define _GNU_SOURCE
#include "load.h"

#include <string.h>

#define MARK "@@"
#define MARK_DIGITS 16 /* each of the number and the time */

static bool holds(const char *text, size_t bytes, const char *piece)
{
    return memmem(text, bytes, piece, strlen(piece)) != NULL;
}

static void become_ready(struct connection *connection)
{
    connection->state = READY;
    dialing--;
    ready++;
    if (!connection->publishes)
        subscribers[connection->index % plan.topics]++;
}

/* Say all that the script has up to its next wait; at its end the connection is ready. */
void advance(struct connection *connection)
{
    const struct script *script = connection->script;
    char text[16384];
    while (connection->step < script->count && script->steps[connection->step].kind == STEP_SEND) {
        size_t bytes = expand(text, sizeof text, script->steps[connection->step].text, connection, NULL);
        append_frame(connection, text, bytes);
        connection->step++;
    }
    flush_frames(connection);
    if (connection->step == script->count && connection->state == TALKING)
        become_ready(connection);
}

static uint64_t read_hex(const char *digits)
{
    uint64_t value = 0;
    for (int i = 0; i < MARK_DIGITS; i++) {
        unsigned char digit = digits[i];
        value = value << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return value;
}

static void remember_cursor(struct connection *connection, const char *text, size_t bytes)
{
    const char *at = memmem(text, bytes, plan.cursor_key, strlen(plan.cursor_key));
    if (at == NULL)
        return;
    at += strlen(plan.cursor_key);
    const char *end = memchr(at, '"', text + bytes - at);
    if (end == NULL || end - at >= CURSOR_BYTES)
        return;
    memcpy(connection->cursor, at, end - at);
    connection->cursor[end - at] = 0;
}

static void heard_other(struct connection *connection, const char *text, size_t bytes)
{
    if (plan.ping && bytes == strlen(plan.ping) && memcmp(text, plan.ping, bytes) == 0) {
        append_frame(connection, plan.pong, strlen(plan.pong));
        flush_frames(connection);
        return;
    }
    if (connection->publishes && plan.acknowledged && holds(text, bytes, plan.acknowledged)) {
        counters.acknowledged++;
        if (connection->owes > 0)
            publish_as(connection);
    }
    if (plan.unrecovered && holds(text, bytes, plan.unrecovered))
        counters.unrecovered++;
    const struct script *script = connection->script;
    if (connection->step < script->count && holds(text, bytes, script->steps[connection->step].text)) {
        connection->step++;
        advance(connection);
    }
}

/* One text frame. A server may put several publications into one. */
void on_text(struct connection *connection, const char *text, size_t bytes, uint64_t now_ns)
{
    const char *at = memmem(text, bytes, MARK, sizeof MARK - 1), *end = text + bytes;
    const size_t mark_bytes = sizeof MARK - 1 + 2 * MARK_DIGITS;
    if (plan.cursor_key && !connection->publishes)
        remember_cursor(connection, text, bytes);
    if (at == NULL) {
        heard_other(connection, text, bytes);
        return;
    }
    if (connection->publishes)
        return; /* a server that answers a publisher with its own words */
    last_payload_bytes = bytes;
    counters.delivered_bytes += bytes;
    while (at != NULL && at + mark_bytes <= end) {
        const char *digits = at + sizeof MARK - 1;
        arrived(connection, read_hex(digits), read_hex(digits + MARK_DIGITS), now_ns);
        at += mark_bytes;
        at = memmem(at, end - at, MARK, sizeof MARK - 1);
    }
}
