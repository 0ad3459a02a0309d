/* aes: AES-128 in counter mode, byte by byte with a 256-byte S-box (FIPS 197): table look-ups and byte shuffling. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_ROUNDS = 4700, BLOCK = 16, KEY_ROUNDS = 10, BLOCKS_PER_ROUND = 32, REDUCTION = 0x1b };

static uint8_t sbox[256];
static uint8_t schedule[(KEY_ROUNDS + 1) * BLOCK];

static uint8_t times2(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? REDUCTION : 0));
}

static uint8_t rotate_left(uint8_t x, int n)
{
    return (uint8_t)(x << n | x >> (8 - n));
}

/* Walks the field by its generator 3 and, in step, by the inverse of 3; so p and q are always inverse to each other. */
static void make_sbox(void)
{
    uint8_t p = 1, q = 1;
    do {
        p = (uint8_t)(p ^ times2(p));
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        if (q & 0x80)
            q ^= 0x09;
        sbox[p] = (uint8_t)(q ^ rotate_left(q, 1) ^ rotate_left(q, 2) ^ rotate_left(q, 3) ^ rotate_left(q, 4) ^ 0x63);
    } while (p != 1);
    sbox[0] = 0x63;
}

static void expand_key(const uint8_t key[BLOCK])
{
    uint8_t constant = 1;
    memcpy(schedule, key, BLOCK);
    for (size_t i = BLOCK; i < sizeof schedule; i += 4) {
        uint8_t t[4];
        memcpy(t, &schedule[i - 4], 4);
        if (i % BLOCK == 0) {
            uint8_t first = t[0];
            t[0] = sbox[t[1]] ^ constant;
            t[1] = sbox[t[2]];
            t[2] = sbox[t[3]];
            t[3] = sbox[first];
            constant = times2(constant);
        }
        for (int j = 0; j < 4; j++)
            schedule[i + j] = schedule[i - BLOCK + j] ^ t[j];
    }
}

static void add_round_key(uint8_t s[BLOCK], int round)
{
    for (int i = 0; i < BLOCK; i++)
        s[i] ^= schedule[round * BLOCK + i];
}

/* SubBytes and ShiftRows in one walk: row r of column c comes from column c + r. */
static void substitute_and_shift(uint8_t s[BLOCK])
{
    uint8_t t[BLOCK];
    for (int c = 0; c < 4; c++)
        for (int r = 0; r < 4; r++)
            t[c * 4 + r] = sbox[s[((c + r) & 3) * 4 + r]];
    memcpy(s, t, BLOCK);
}

static void mix_columns(uint8_t s[BLOCK])
{
    for (uint8_t *c = s; c < s + BLOCK; c += 4) {
        uint8_t first = c[0], all = (uint8_t)(c[0] ^ c[1] ^ c[2] ^ c[3]);
        for (int i = 0; i < 3; i++)
            c[i] ^= (uint8_t)(all ^ times2(c[i] ^ c[i + 1]));
        c[3] ^= (uint8_t)(all ^ times2(c[3] ^ first));
    }
}

static void encrypt(uint8_t s[BLOCK])
{
    add_round_key(s, 0);
    for (int round = 1; round < KEY_ROUNDS; round++) {
        substitute_and_shift(s);
        mix_columns(s);
        add_round_key(s, round);
    }
    substitute_and_shift(s);
    add_round_key(s, KEY_ROUNDS);
}

static uint32_t work(uint32_t round, uint32_t sum)
{
    uint8_t key[BLOCK] = {(uint8_t)round, (uint8_t)(round >> 8), (uint8_t)sum, (uint8_t)(sum >> 8)};
    expand_key(key);
    for (uint32_t n = 0; n < BLOCKS_PER_ROUND; n++) {
        uint8_t block[BLOCK] = {(uint8_t)n};
        encrypt(block);
        for (int i = 0; i < BLOCK; i++)
            sum = sum * 33 + block[i];
    }
    return sum;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    make_sbox();
    for (uint32_t round = 0; round < rounds; round++)
        sum = work(round, sum);
    printf("aes %08" PRIx32 "\n", sum);
    return 0;
}
