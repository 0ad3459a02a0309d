/* Bit manipulation as programs do it: codes of variable length, hashes, sets, byte order, the shortest string. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BYTES = 4096, MEMBERS = 512 };

static uint32_t state = 2463534242u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static uint32_t rotate(uint32_t value, unsigned count)
{
    return value << (count & 31) | value >> (-count & 31);
}

struct bits {
    uint32_t words[BYTES / 4];
    unsigned at;
};

static void put(struct bits *bits, uint32_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; bits->at++)
        if (value >> i & 1)
            bits->words[bits->at / 32] |= 1u << (bits->at & 31);
}

static unsigned get(struct bits *bits)
{
    unsigned bit = bits->words[bits->at / 32] >> (bits->at & 31) & 1;
    bits->at++;
    return bit;
}

/* Elias's gamma code: as many zeros as there are digits behind the first. */
static int codes(void)
{
    static struct bits bits;
    enum { NUMBERS = 400 };
    static uint32_t numbers[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = draw() >> (draw() & 31) | 1;
        unsigned digits = 31 - (unsigned)__builtin_clz(numbers[i]);
        put(&bits, 0, digits);
        put(&bits, numbers[i], digits + 1);
    }
    unsigned size = bits.at;
    bits.at = 0;
    for (int i = 0; i < NUMBERS; i++) {
        unsigned zeros = 0;
        while (!get(&bits))
            zeros++;
        uint32_t value = 1;
        while (zeros--)
            value = value << 1 | get(&bits);
        if (value != numbers[i])
            return -1;
    }
    return (int)size;
}

static uint32_t hash(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0x811c9dc5;
    for (size_t i = 0; i + 4 <= size; i += 4) {
        uint32_t word;
        memcpy(&word, bytes + i, sizeof word);
        sum = rotate(sum ^ __builtin_bswap32(word), 13) * 5 + 0xe6546b64;
        sum = rotate(sum, word & 31) ^ (sum & ~word) ^ (sum | ~word);
    }
    return sum;
}

/* Members in turn, by their lowest bit; and how many there are. */
static void sets(void)
{
    static uint32_t set[MEMBERS / 32];
    unsigned count = 0, ones = 0, sum = 0;
    for (int i = 0; i < 200; i++) {
        unsigned member = draw() % MEMBERS;
        set[member / 32] |= 1u << (member & 31);
        member = draw() % MEMBERS;
        set[member / 32] ^= 1u << (member & 31);
        member = draw() % MEMBERS;
        set[member / 32] &= ~(1u << (member & 31));
    }
    for (unsigned i = 0; i < MEMBERS / 32; i++) {
        ones += (unsigned)__builtin_popcount(set[i]);
        for (uint32_t left = set[i]; left; left &= left - 1, count++)
            sum += 32 * i + (unsigned)__builtin_ctz(left);
    }
    printf("set: %u, %u, %u\n", ones, count, sum);
}

static void extremes(void)
{
    int32_t least = INT32_MAX, most = INT32_MIN;
    uint32_t lowest = UINT32_MAX, highest = 0;
    int total = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t value = draw();
        int32_t number = (int32_t)value;
        least = number < least ? number : least;
        most = number > most ? number : most;
        lowest = value < lowest ? value : lowest;
        highest = value > highest ? value : highest;
        total += (int8_t)value + (int16_t)(value >> 8) - (uint16_t)(value >> 16);
    }
    printf("%ld %ld %lu %lu %d\n", (long)least, (long)most, (unsigned long)lowest, (unsigned long)highest, total);
}

int main(int argc, char **argv)
{
    static uint32_t words[BYTES / 4];
    static int64_t wide[64];
    for (int i = 0; i < BYTES / 4; i++)
        words[i] = draw();
    for (int i = 0; i < 64; i++)
        wide[(i * 7) & 63] = words[i] + (int64_t)words[i + 1];
    printf("codes: %d bits\n", codes());
    printf("hash: %08lx %08lx\n", (unsigned long)hash(words, sizeof words), (unsigned long)hash(wide, sizeof wide));
    for (int i = 0; i < argc; i++)
        printf("%u ", i ? (unsigned)strlen(argv[i]) : 0);
    sets();
    extremes();
    return __builtin_clz(argc) + __builtin_ctz(argc) - __builtin_popcount(argc);
}
