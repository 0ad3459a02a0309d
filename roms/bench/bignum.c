/* bignum: long arithmetic. Powers by schoolbook multiplication, then division back to decimal; 64-bit by 32-bit divisions. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 43000, LIMBS = 40 };

static const uint32_t TEN_TO_9 = 1000000000u;

struct Number {
    uint32_t size;
    uint32_t limb[LIMBS]; /* least significant first */
};

static void multiply_small(struct Number *x, uint32_t factor)
{
    uint64_t carry = 0;
    for (uint32_t i = 0; i < x->size; i++) {
        carry += (uint64_t)x->limb[i] * factor;
        x->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry != 0 && x->size < LIMBS)
        x->limb[x->size++] = (uint32_t)carry;
}

/* out = x * y, cut off at LIMBS limbs. */
static void multiply(struct Number *out, const struct Number *x, const struct Number *y)
{
    *out = (struct Number){.size = LIMBS};
    for (uint32_t i = 0; i < x->size; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; i + j < LIMBS; j++) {
            carry += out->limb[i + j] + (j < y->size ? (uint64_t)x->limb[i] * y->limb[j] : 0);
            out->limb[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    while (out->size > 1 && out->limb[out->size - 1] == 0)
        out->size--;
}

/* Divides x in place, returns the remainder. */
static uint32_t divide_small(struct Number *x, uint32_t divisor)
{
    uint64_t rest = 0;
    for (uint32_t i = x->size; i-- > 0;) {
        uint64_t part = rest << 32 | x->limb[i];
        x->limb[i] = (uint32_t)(part / divisor);
        rest = part % divisor;
    }
    while (x->size > 1 && x->limb[x->size - 1] == 0)
        x->size--;
    return (uint32_t)rest;
}

static uint32_t decimal_digest(struct Number *x)
{
    uint32_t sum = 0;
    while (x->size > 1 || x->limb[0] != 0)
        sum = sum * 31 + divide_small(x, TEN_TO_9);
    return sum;
}

static uint32_t work(uint32_t round)
{
    struct Number x = {.size = 1, .limb = {1}}, square;
    for (uint32_t i = 2; i < 80; i++)
        multiply_small(&x, i + (round & 3));
    multiply(&square, &x, &x);
    return decimal_digest(&square);
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round + (sum & 1));
    printf("bignum %08" PRIx32 "\n", sum);
    return 0;
}
