/* sieve: the sieve of Eratosthenes over a window of odd numbers, one byte each: strided stores and a counting loop. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROUNDS = 5100, FLAGS = 16384 };

static uint8_t composite[FLAGS]; /* flag i stands for 2 * i + 3 */

static void strike_multiples(uint32_t i)
{
    uint32_t prime = 2 * i + 3;
    for (uint32_t k = (prime * prime - 3) / 2; k < FLAGS; k += prime)
        composite[k] = 1;
}

static uint32_t work(uint32_t round)
{
    uint32_t sum = 0;
    memset(composite, 0, sizeof composite);
    composite[FLAGS - 1 - round % 64] = 1; /* not the same sieve every time */
    for (uint32_t i = 0; (2 * i + 3) * (2 * i + 3) <= 2 * FLAGS + 1; i++)
        if (!composite[i])
            strike_multiples(i);
    for (uint32_t i = 0; i < FLAGS; i++)
        if (!composite[i])
            sum += 2 * i + 3;
    return sum;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round);
    printf("sieve %08" PRIx32 "\n", sum);
    return 0;
}
