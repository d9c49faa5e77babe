/* Which publications came: lost, doubled and reordered ones by number, and how long they took. */
#include "load.h"

#define SUB_BUCKETS_LOG2 6 /* 64 steps a power of two: a value is off by 1.6 % at most */
#define SUB_BUCKETS (1 << SUB_BUCKETS_LOG2)

/* Publication n goes to topic n % topics. The connection should see those of its topic from `number` on. */
void expect_from(struct connection *connection, uint64_t number)
{
    uint64_t topics = plan.topics, topic = connection->index % plan.topics;
    connection->next = number + (topic + topics - number % topics) % topics;
    connection->window = 0;
}

static void arrived_early(struct connection *connection, uint64_t steps_ahead)
{
    counters.missing += steps_ahead;
    uint64_t shift = steps_ahead + 1;
    connection->window = shift < WINDOW_PUBLICATIONS ? connection->window << shift | 1 : 1;
}

static void arrived_late(struct connection *connection, uint64_t steps_back)
{
    uint64_t bit = steps_back <= WINDOW_PUBLICATIONS ? 1ull << (steps_back - 1) : 0;
    if (bit == 0 || connection->window & bit) {
        counters.doubled++;
        return;
    }
    connection->window |= bit;
    counters.missing--;
    counters.reordered++;
}

void arrived(struct connection *connection, uint64_t number, uint64_t sent_ns, uint64_t now_ns)
{
    uint64_t topics = plan.topics;
    if (number >= published || number % topics != (uint64_t)connection->index % topics) {
        counters.stray++;
        return;
    }
    counters.delivered++;
    if (number == connection->next) {
        connection->next += topics;
        connection->window = connection->window << 1 | 1;
    } else if (number > connection->next) {
        arrived_early(connection, (number - connection->next) / topics);
        connection->next = number + topics;
    } else {
        arrived_late(connection, (connection->next - number) / topics);
    }
    uint32_t *left = &remaining[number % UNDER_WAY_SLOTS];
    if (*left > 0 && --*left == 0)
        completed++;
    if (measuring)
        histogram_add(&latency, now_ns > sent_ns ? now_ns - sent_ns : 0);
}

static int bucket_of(uint64_t ns)
{
    if (ns < SUB_BUCKETS)
        return (int)ns;
    int power = 63 - __builtin_clzll(ns);
    return (power - SUB_BUCKETS_LOG2 + 1) * SUB_BUCKETS + (int)(ns >> (power - SUB_BUCKETS_LOG2)) - SUB_BUCKETS;
}

static uint64_t value_of(int bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    int power = bucket / SUB_BUCKETS + SUB_BUCKETS_LOG2 - 1;
    return (uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << (power - SUB_BUCKETS_LOG2);
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->counts[bucket_of(ns)]++;
    histogram->total++;
    if (ns > histogram->maximum_ns)
        histogram->maximum_ns = ns;
}

/* The value that the given share of all values does not exceed, in nanoseconds; 0 where there is none. */
uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * histogram->total), seen = 0;
    for (int bucket = 0; bucket < 64 * SUB_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > wanted)
            return value_of(bucket);
    }
    return histogram->maximum_ns;
}
