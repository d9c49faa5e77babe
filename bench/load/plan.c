/* The plan: lines "key value" that say whom to dial, what to say and what to expect. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan plan = {.connections = 1, .topics = 1, .dialing_max = 128, .frame_bytes = 250,
                    .patience_ms = 5000, .topic = "bench:%i"};

static void fail(const char *why, const char *what)
{
    fprintf(stderr, "load: %s: %s\n", why, what);
    exit(2);
}

static void add_step(struct script *script, enum step_kind kind, const char *text)
{
    if (script->count == STEPS_MAX)
        fail("too many steps", text);
    script->steps[script->count++] = (struct step){kind, text};
}

static void read_tokens(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        fail("cannot read", path);
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, file)) > 0) {
        line[strcspn(line, "\n")] = 0;
        plan.tokens = realloc(plan.tokens, (plan.token_count + 1) * sizeof *plan.tokens);
        plan.tokens[plan.token_count++] = strdup(line);
    }
    free(line);
    fclose(file);
}

static bool set_number(const char *key, const char *value)
{
    struct { const char *key; int *to; } numbers[] = {
        {"port", &plan.port}, {"connections", &plan.connections}, {"topics", &plan.topics},
        {"dialing", &plan.dialing_max}, {"frame-bytes", &plan.frame_bytes},
        {"receive-buffer-bytes", &plan.receive_buffer_bytes}, {"patience-ms", &plan.patience_ms},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(key, numbers[i].key) == 0) {
            *numbers[i].to = atoi(value);
            return true;
        }
    return false;
}

static bool set_text(const char *key, const char *value)
{
    struct { const char *key; const char **to; } texts[] = {
        {"path", &plan.path}, {"publisher-path", &plan.publisher_path}, {"topic", &plan.topic},
        {"publish", &plan.publish}, {"ping", &plan.ping}, {"pong", &plan.pong}, {"cursor-key", &plan.cursor_key},
        {"unrecovered", &plan.unrecovered}, {"acknowledged", &plan.acknowledged},
        {"publisher-token", &plan.publisher_token},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(key, texts[i].key) == 0) {
            *texts[i].to = strdup(value);
            return true;
        }
    return false;
}

static bool set_step(const char *key, const char *value)
{
    struct { const char *key; struct script *to; enum step_kind kind; } steps[] = {
        {"await", &plan.script, STEP_AWAIT}, {"send", &plan.script, STEP_SEND},
        {"reopen-await", &plan.reopen_script, STEP_AWAIT}, {"reopen-send", &plan.reopen_script, STEP_SEND},
        {"publisher-await", &plan.publisher_script, STEP_AWAIT},
        {"publisher-send", &plan.publisher_script, STEP_SEND},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (strcmp(key, steps[i].key) == 0) {
            add_step(steps[i].to, steps[i].kind, strdup(value));
            return true;
        }
    return false;
}

/* Take one line of the plan. Ends the program where it is none. */
void plan_set(const char *line)
{
    char key[64];
    size_t length = strcspn(line, " ");
    if (length == 0 || length >= sizeof key)
        fail("not a line of a plan", line);
    memcpy(key, line, length);
    key[length] = 0;
    const char *value = line[length] ? line + length + 1 : "";
    if (strcmp(key, "tokens") == 0)
        read_tokens(value);
    else if (!set_number(key, value) && !set_text(key, value) && !set_step(key, value))
        fail("unknown key", key);
}

static const char *value_of(char name, const struct connection *about, const char *mark, char *number, size_t size)
{
    switch (name) {
    case 't':
        if (about->publishes)
            return plan.publisher_token ? plan.publisher_token : "";
        return plan.token_count ? plan.tokens[about->index % plan.token_count] : "";
    case 'c':
        return about->cursor;
    case 'M':
        return mark;
    case 'i':
        snprintf(number, size, "%d", about->index);
        return number;
    default:
        return NULL;
    }
}

/* Write a template with its values; answers its length. A publisher's index is the topic that it publishes on. */
size_t expand(char *out, size_t size, const char *template, const struct connection *about, const char *mark)
{
    size_t used = 0;
    for (const char *at = template; *at && used + 1 < size; at++) {
        char number[32];
        const char *value = NULL;
        if (*at == '%' && at[1] == 'T') {
            struct connection topic = {.index = about->index % plan.topics};
            used += expand(out + used, size - used, plan.topic, &topic, NULL);
            at++;
            continue;
        }
        if (*at == '%')
            value = value_of(at[1], about, mark, number, sizeof number);
        if (value == NULL) {
            out[used++] = *at;
            continue;
        }
        size_t length = strlen(value);
        if (used + length >= size)
            fail("too long", template);
        memcpy(out + used, value, length);
        used += length;
        at++;
    }
    out[used] = 0;
    return used;
}
