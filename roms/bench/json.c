/* json: a state machine. Writes a JSON document, then reads it back with a tokenizer that checks nesting and sums values. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 3500, DOCUMENT = 8192, RECORD_ROOM = 160, MAX_DEPTH = 8 };

enum State { VALUE, STRING, ESCAPE, NUMBER, WORD, BROKEN };

struct Reader {
    enum State state;
    uint32_t depth;
    char closers[MAX_DEPTH]; /* the bracket that closes each open level */
    uint32_t number;
    uint32_t digest;
};

static char document[DOCUMENT];

static char *put(char *to, const char *text)
{
    while (*text != '\0')
        *to++ = *text++;
    return to;
}

static char *put_number(char *to, uint32_t value)
{
    char digits[10];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

static char *put_record(char *to, uint32_t seed)
{
    to = put(to, "{\"id\": ");
    to = put_number(to, seed >> 12);
    to = put(to, seed & 64 ? ", \"name\": \"a \\\"quoted\\\" name\"" : ", \"name\": \"plain\"");
    to = put(to, seed & 128 ? ", \"on\": true, \"at\": [" : ", \"on\": null, \"at\": [");
    to = put_number(to, seed & 0xffff);
    to = put(to, ", ");
    to = put_number(to, seed >> 24);
    return put(to, "]}");
}

static void write_document(uint32_t seed)
{
    char *to = put(document, "[\n");
    while (to < document + DOCUMENT - RECORD_ROOM) {
        seed = seed * 1664525u + 1013904223u;
        to = put(put_record(to, seed), ",\n  ");
    }
    *put(to, "0]\n") = '\0';
}

static void mix(struct Reader *r, uint32_t token)
{
    r->digest = (r->digest << 5 | r->digest >> 27) ^ token;
}

static enum State open_level(struct Reader *r, char closer)
{
    if (r->depth == MAX_DEPTH)
        return BROKEN;
    r->closers[r->depth++] = closer;
    return VALUE;
}

static enum State close_level(struct Reader *r, char closer)
{
    if (r->depth == 0 || r->closers[--r->depth] != closer)
        return BROKEN;
    mix(r, (uint32_t)closer);
    return VALUE;
}

static enum State begin_value(struct Reader *r, char c)
{
    switch (c) {
    case ' ': case '\n': case ',': case ':': return VALUE;
    case '{': return open_level(r, '}');
    case '[': return open_level(r, ']');
    case '}': case ']': return close_level(r, c);
    case '"': return STRING;
    default: break;
    }
    if (c >= '0' && c <= '9') {
        r->number = (uint32_t)(c - '0');
        return NUMBER;
    }
    return c >= 'a' && c <= 'z' ? WORD : BROKEN;
}

static enum State in_number(struct Reader *r, char c)
{
    if (c >= '0' && c <= '9') {
        r->number = r->number * 10 + (uint32_t)(c - '0');
        return NUMBER;
    }
    mix(r, r->number);
    return begin_value(r, c);
}

static enum State step(struct Reader *r, char c)
{
    switch (r->state) {
    case VALUE: return begin_value(r, c);
    case STRING: mix(r, (uint32_t)c); return c == '"' ? VALUE : c == '\\' ? ESCAPE : STRING;
    case ESCAPE: return STRING;
    case NUMBER: return in_number(r, c);
    case WORD: return c >= 'a' && c <= 'z' ? WORD : begin_value(r, c);
    case BROKEN: break;
    }
    return BROKEN;
}

static uint32_t work(uint32_t seed)
{
    struct Reader r = {.state = VALUE, .digest = seed};
    write_document(seed);
    for (const char *p = document; *p != '\0'; p++)
        r.state = step(&r, *p);
    return r.digest + (r.state == VALUE && r.depth == 0);
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round + sum);
    printf("json %08" PRIx32 "\n", sum);
    return 0;
}
