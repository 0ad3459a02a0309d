/* vm: an interpreter loop. A stack machine with a switch runs two small programs: Collatz lengths and a sum of gcds. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 1300, STACK = 8 };
enum Op { PUSH, LOAD, STORE, ADD, MUL, MOD, HALVE, ODD, LESS, JUMP, JUMP_IF_ZERO, HALT };
enum Local { LIMIT, COUNTER, X, TOTAL, A, LOCALS };

struct Code {
    uint8_t op, operand;
};

static const struct Code collatz[] = {
    /*  0 counter = 1 */          {PUSH, 1}, {STORE, COUNTER},
    /*  2 while counter < limit */{LOAD, COUNTER}, {LOAD, LIMIT}, {LESS, 0}, {JUMP_IF_ZERO, 34},
    /*  6   x = counter */        {LOAD, COUNTER}, {STORE, X},
    /*  8   while 1 < x */        {PUSH, 1}, {LOAD, X}, {LESS, 0}, {JUMP_IF_ZERO, 29},
    /* 12     total += 1 */       {LOAD, TOTAL}, {PUSH, 1}, {ADD, 0}, {STORE, TOTAL},
    /* 16     if x is odd */      {LOAD, X}, {ODD, 0}, {JUMP_IF_ZERO, 25},
    /* 19       3 * x + 1 */      {LOAD, X}, {PUSH, 3}, {MUL, 0}, {PUSH, 1}, {ADD, 0}, {JUMP, 27},
    /* 25     else x / 2 */       {LOAD, X}, {HALVE, 0},
    /* 27     goes to x */        {STORE, X}, {JUMP, 8},
    /* 29   counter += 1 */       {LOAD, COUNTER}, {PUSH, 1}, {ADD, 0}, {STORE, COUNTER}, {JUMP, 2},
    /* 34 result */               {LOAD, TOTAL}, {HALT, 0},
};

static const struct Code gcd_sum[] = {
    /*  0 counter = 1 */          {PUSH, 1}, {STORE, COUNTER},
    /*  2 while counter < limit */{LOAD, COUNTER}, {LOAD, LIMIT}, {LESS, 0}, {JUMP_IF_ZERO, 28},
    /*  6   a, x = limit, counter */{LOAD, LIMIT}, {STORE, A}, {LOAD, COUNTER}, {STORE, X},
    /* 10   while x */            {LOAD, X}, {JUMP_IF_ZERO, 19},
    /* 12     a, x = x, a % x */  {LOAD, A}, {LOAD, X}, {MOD, 0}, {LOAD, X}, {STORE, A}, {STORE, X}, {JUMP, 10},
    /* 19   total += a */         {LOAD, TOTAL}, {LOAD, A}, {ADD, 0}, {STORE, TOTAL},
    /* 23   counter += 1 */       {LOAD, COUNTER}, {PUSH, 1}, {ADD, 0}, {STORE, COUNTER}, {JUMP, 2},
    /* 28 result */               {LOAD, TOTAL}, {HALT, 0},
};

static uint32_t run(const struct Code *code, uint32_t limit)
{
    uint32_t stack[STACK], local[LOCALS] = {limit};
    uint32_t *top = stack; /* the first free slot */
    for (const struct Code *at = code;; at++) {
        switch ((enum Op)at->op) {
        case PUSH: *top++ = at->operand; break;
        case LOAD: *top++ = local[at->operand]; break;
        case STORE: local[at->operand] = *--top; break;
        case ADD: top--; top[-1] += *top; break;
        case MUL: top--; top[-1] *= *top; break;
        case MOD: top--; top[-1] %= *top; break;
        case HALVE: top[-1] >>= 1; break;
        case ODD: top[-1] &= 1; break;
        case LESS: top--; top[-1] = top[-1] < *top; break;
        case JUMP: at = code + at->operand - 1; break;
        case JUMP_IF_ZERO: at = *--top == 0 ? code + at->operand - 1 : at; break;
        case HALT: return *--top;
        }
    }
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + (run(collatz, 60 + round % 8) ^ run(gcd_sum, 120 + round % 32));
    printf("vm %08" PRIx32 "\n", sum);
    return 0;
}
