/* queens: backtracking. Counts the solutions of the eight to ten queens problem with bit masks. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 12000, SMALLEST_BOARD = 7, BOARD_SIZES = 3 };

/* A set bit is a column that a queen above attacks: straight down, or by one of the two diagonals. */
static uint32_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    uint32_t found = 0;
    if (columns == all)
        return 1;
    for (uint32_t free = all & ~(columns | left | right); free != 0; free &= free - 1) {
        uint32_t queen = free & -free;
        found += place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return found;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t size = SMALLEST_BOARD + round % BOARD_SIZES;
        sum = sum * 31 + place((1u << size) - 1, 0, round & 1, 0);
    }
    printf("queens %08" PRIx32 "\n", sum);
    return 0;
}
