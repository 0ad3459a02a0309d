/* malloc, realloc, free: a list of blocks of changing size, each filled with its own pattern. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 64, ROUNDS = 4000, LARGEST = 3000 };

static uint32_t state = 12345;

static uint32_t next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

int main(void)
{
    static unsigned char *block[BLOCKS];
    static size_t size[BLOCKS];
    uint32_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t at = next() % BLOCKS, wanted = next() % LARGEST + 1;
        if (block[at])
            for (size_t i = 0; i < size[at]; i += 97)
                sum = sum * 31 + block[at][i];
        if (next() % 3) {
            block[at] = realloc(block[at], wanted);
            size[at] = wanted;
            memset(block[at], (int)(next() & 0xff), wanted);
        } else {
            free(block[at]);
            block[at] = NULL;
        }
    }
    void *zeroed = calloc(100, 10);
    printf("%08lx %s\n", (unsigned long)sum, memcmp(zeroed, &(char[1000]){0}, 1000) ? "dirty" : "clean");
    return 0;
}
