/* lz: compression. Finds matches by a hash of three bytes, writes literals and copies, expands them again and compares. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROUNDS = 2600, SIZE = 8192, HASH_SIZE = 1024, MIN_MATCH = 4, MAX_MATCH = 130, COPY_FLAG = 0x80 };

static uint8_t input[SIZE], packed[2 * SIZE], output[SIZE];
static int32_t last_seen[HASH_SIZE];

static void fill(uint32_t seed)
{
    uint32_t word = 0;
    for (uint32_t i = 0; i < SIZE; i++) {
        if (i % 5 == 0) {
            seed = seed * 1664525u + 1013904223u;
            word = (seed >> 27) * 0x01050301u;
        }
        input[i] = (uint8_t)('a' + (word >> i % 5 * 5 & 15));
    }
}

static uint32_t hash(const uint8_t *p)
{
    return ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * 2654435761u >> 22;
}

static int32_t match_length(int32_t from, int32_t at)
{
    int32_t n = 0;
    if (from < 0)
        return 0;
    while (at + n < SIZE && n < MAX_MATCH && input[from + n] == input[at + n])
        n++;
    return n;
}

/* A copy is COPY_FLAG | (length - MIN_MATCH) and the distance in two bytes; a literal is a byte below COPY_FLAG. */
static uint32_t compress(void)
{
    uint8_t *to = packed;
    memset(last_seen, -1, sizeof last_seen);
    for (int32_t at = 0; at < SIZE;) {
        int32_t *slot = &last_seen[at < SIZE - 2 ? hash(&input[at]) : 0];
        int32_t from = *slot, length = match_length(from, at);
        *slot = at;
        if (length < MIN_MATCH) {
            *to++ = input[at++];
            continue;
        }
        *to++ = (uint8_t)(COPY_FLAG | (length - MIN_MATCH));
        *to++ = (uint8_t)(at - from);
        *to++ = (uint8_t)((at - from) >> 8);
        at += length;
    }
    return (uint32_t)(to - packed);
}

static uint32_t expand(const uint8_t *from, uint32_t size)
{
    uint8_t *to = output;
    for (const uint8_t *end = from + size; from < end;) {
        if (*from < COPY_FLAG) {
            *to++ = *from++;
            continue;
        }
        int32_t length = (*from & ~COPY_FLAG) + MIN_MATCH, distance = from[1] | from[2] << 8;
        for (int32_t i = 0; i < length; i++, to++)
            *to = to[-distance];
        from += 3;
    }
    return (uint32_t)(to - output);
}

static uint32_t work(uint32_t seed)
{
    fill(seed);
    uint32_t size = compress(), sum = size;
    int same = expand(packed, size) == SIZE && memcmp(input, output, SIZE) == 0;
    for (uint32_t i = 0; i < size; i += 16)
        sum = sum * 31 + packed[i];
    return same ? sum : 0;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round + sum);
    printf("lz %08" PRIx32 "\n", sum);
    return 0;
}
