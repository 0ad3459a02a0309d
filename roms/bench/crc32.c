/* crc32: the reflected CRC-32 of IEEE 802.3 over a buffer, one table look-up a byte. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 3200, BUFFER = 8192 };

static const uint32_t POLYNOMIAL = 0xedb88320u;
static uint32_t table[256];
static uint8_t buffer[BUFFER];

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc32(const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;
    for (const uint8_t *end = p + n; p < end; p++)
        c = table[(c ^ *p) & 0xff] ^ c >> 8;
    return ~c;
}

/* Each CRC is written into the buffer that the next round reads. */
static void store(uint32_t at, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++)
        buffer[(at + i) % BUFFER] ^= (uint8_t)(value >> i * 8);
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    make_table();
    for (uint32_t i = 0; i < BUFFER; i++)
        buffer[i] = (uint8_t)(i * 7 + (i >> 5));
    for (uint32_t round = 0; round < rounds; round++) {
        sum ^= crc32(buffer, BUFFER);
        store(round * 4, sum);
    }
    printf("crc32 %08" PRIx32 "\n", sum);
    return 0;
}
