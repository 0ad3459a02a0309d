/* calls: recursion. Fibonacci, Ackermann and Takeuchi functions, nothing but calls, returns and stack traffic. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 9600 };

static uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static int32_t tak(int32_t x, int32_t y, int32_t z)
{
    if (y >= x)
        return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

/* The arguments depend on the round, so that no call is a constant. */
static uint32_t work(uint32_t round)
{
    uint32_t vary = round & 1;
    return fib(16 + vary) ^ ackermann(2, 24 + vary) << 8 ^ (uint32_t)tak(10, 5 + (int32_t)vary, 1) << 16;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round);
    printf("calls %08" PRIx32 "\n", sum);
    return 0;
}
