/* matmul: product of square matrices of 32-bit integers: multiply-add in three nested loops with strided loads. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 2700, N = 40 };

static int32_t a[N][N], b[N][N], c[N][N];

static void fill(uint32_t seed)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            seed = seed * 1664525u + 1013904223u;
            a[i][j] = (int32_t)(seed >> 20) - 2048;
            b[j][i] = (int32_t)(seed >> 8 & 0xfff) - 2048;
        }
}

static int32_t dot(const int32_t *row, int column)
{
    int32_t total = 0;
    for (int k = 0; k < N; k++)
        total += row[k] * b[k][column];
    return total;
}

static void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            c[i][j] = dot(a[i], j);
}

static uint32_t digest(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = (sum << 3 | sum >> 29) + (uint32_t)c[i][j];
    return sum;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        fill(sum + round);
        multiply();
        sum ^= digest();
    }
    printf("matmul %08" PRIx32 "\n", sum);
    return 0;
}
