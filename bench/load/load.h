/* The load generator: what its parts share. One thread, one epoll; it is meant to have a core of its own. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STEPS_MAX 16
#define CURSOR_BYTES 64
#define WINDOW_PUBLICATIONS 64     /* how far back a late or repeated publication is told apart */
#define UNDER_WAY_SLOTS 65536      /* a power of two: publications whose deliveries are counted down */
#define READ_BYTES (1 << 20)

enum step_kind { STEP_AWAIT, STEP_SEND };

struct step {
    enum step_kind kind;
    const char *text; /* AWAIT: a piece of the server's frame; SEND: a template */
};

struct script {
    struct step steps[STEPS_MAX];
    int count;
};

/* Templates: %t token, %T topic, %c cursor, %i index, %M mark and padding. */
struct plan {
    int port, connections, topics, dialing_max, frame_bytes, receive_buffer_bytes, patience_ms;
    const char *path, *publisher_path, *topic, *publish, *ping, *pong, *cursor_key, *unrecovered, *acknowledged;
    const char *publisher_token;
    char **tokens;
    int token_count;
    struct script script, reopen_script, publisher_script;
};

enum state { CLOSED, CONNECTING, UPGRADING, TALKING, READY };

struct connection {
    int fd, index, step;
    enum state state;
    bool stalled, publishes;
    int owes;                /* publications that it makes by itself, one after the other's acknowledgement */
    int close_code;          /* of the server's close frame; 0 where none came */
    const struct script *script;
    char *kept;              /* the start of a frame whose end has not arrived */
    size_t kept_bytes;
    uint64_t next;           /* number of the publication that should come next */
    uint64_t window;         /* bit k: publication next - (k + 1) * topics has come */
    char cursor[CURSOR_BYTES];
    char *unsent;            /* of the publisher: frames of this turn, and what the socket did not take */
    size_t unsent_bytes, unsent_size;
};

struct histogram {
    uint64_t counts[64 * 64];
    uint64_t total, maximum_ns;
};

struct counters {
    uint64_t delivered, delivered_bytes, doubled, reordered, missing, stray, acknowledged, unrecovered, failed, pings;
};

extern struct plan plan;
extern struct counters counters;
extern struct connection *connections, publisher;
extern struct histogram latency;
extern int epoll_fd, dialing, ready;
extern bool measuring;
extern uint64_t published;                       /* publications so far; the next one's number */
extern uint32_t remaining[UNDER_WAY_SLOTS];      /* deliveries that a publication still waits for */
extern uint64_t completed;
extern uint32_t *subscribers;                    /* by topic: those that are ready and read */
extern int last_payload_bytes;                   /* of the newest frame that held a publication */

/* plan.c */
void plan_set(const char *line);
size_t expand(char *out, size_t size, const char *template, const struct connection *about, const char *mark);

/* wire.c */
void dial(struct connection *connection, const struct script *script);
void drop(struct connection *connection);
void on_socket(struct connection *connection, uint32_t events);
void append_frame(struct connection *connection, const char *text, size_t bytes);
void flush_frames(struct connection *connection);

/* script.c */
void on_text(struct connection *connection, const char *text, size_t bytes, uint64_t now_ns);
void advance(struct connection *connection);

/* ledger.c */
void expect_from(struct connection *connection, uint64_t number);
void arrived(struct connection *connection, uint64_t number, uint64_t sent_ns, uint64_t now_ns);
void histogram_add(struct histogram *histogram, uint64_t ns);
uint64_t histogram_at(const struct histogram *histogram, double share);

/* drive.c */
uint64_t clock_ns(void);
void turn(int timeout_ms);
void open_all(bool again);
void run_closed(int under_way, double seconds);
void run_paced(double per_second, double seconds);
void publish_missed(int per_topic, int under_way);
void publish_as(struct connection *connection);
void speak(int each);
void wait_lost(double seconds);
void stall(int every);
void resume(double seconds);

#endif
