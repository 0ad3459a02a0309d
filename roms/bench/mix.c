/* mix: a mixture in the spirit of embedded benchmarks: linked-list sort, small matrices, a number scanner, all fed by a CRC-16. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 5700, ITEMS = 100, N = 10, TEXT_KINDS = 8, CRC16_POLYNOMIAL = 0xa001 };

struct Item {
    struct Item *next;
    int16_t value, index;
};

static struct Item items[ITEMS];
static int16_t left[N][N], right[N][N];
static const char *const texts[TEXT_KINDS] = {
    "5012", "-874", "+122", "35.54400", "-.1234500", "5.500e+3", "T0.3e-1F", "+0.6.e12",
};

static uint16_t crc16(uint16_t crc, uint32_t data)
{
    for (int bit = 0; bit < 32; bit++, data >>= 1)
        crc = (crc ^ data) & 1 ? (uint16_t)(crc >> 1 ^ CRC16_POLYNOMIAL) : (uint16_t)(crc >> 1);
    return crc;
}

/* ---- list ---- */

static struct Item *make_list(uint32_t seed)
{
    for (int i = 0; i < ITEMS; i++) {
        seed = seed * 1664525u + 1013904223u;
        items[i] = (struct Item){i + 1 < ITEMS ? &items[i + 1] : NULL, (int16_t)(seed >> 16), (int16_t)i};
    }
    return items;
}

static int by_value(const struct Item *a, const struct Item *b)
{
    return a->value - b->value;
}

static int by_index(const struct Item *a, const struct Item *b)
{
    return a->index - b->index;
}

typedef int Compare(const struct Item *, const struct Item *);

static struct Item *merge(struct Item *a, struct Item *b, Compare *compare)
{
    struct Item *head, **tail = &head;
    while (a != NULL && b != NULL) {
        struct Item **smaller = compare(a, b) <= 0 ? &a : &b;
        *tail = *smaller;
        tail = &(*smaller)->next;
        *smaller = *tail;
    }
    *tail = a != NULL ? a : b;
    return head;
}

static struct Item *merge_sort(struct Item *list, Compare *compare)
{
    struct Item *slow = list, *fast, *second;
    if (list == NULL || list->next == NULL)
        return list;
    for (fast = list->next; fast != NULL && fast->next != NULL; fast = fast->next->next)
        slow = slow->next;
    second = slow->next;
    slow->next = NULL;
    return merge(merge_sort(list, compare), merge_sort(second, compare), compare);
}

static struct Item *reverse(struct Item *list)
{
    struct Item *reversed = NULL;
    while (list != NULL) {
        struct Item *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static uint16_t list_part(uint32_t seed, uint16_t crc, Compare *const orders[2])
{
    struct Item *list = merge_sort(reverse(make_list(seed)), orders[0]);
    crc = crc16(crc, (uint32_t)list->value);
    list = merge_sort(list, orders[1]);
    return crc16(crc, (uint32_t)list->next->value);
}

/* ---- matrices ---- */

static uint16_t matrix_part(uint32_t seed, uint16_t crc)
{
    int32_t total = 0;
    for (int i = 0; i < N * N; i++) {
        left[i / N][i % N] = (int16_t)(seed + (uint32_t)i * 3);
        right[i % N][i / N] = (int16_t)(seed * 5 - (uint32_t)i);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += (left[i][k] * right[k][j] >> 2 & 0xf) * (left[i][k] * right[k][j] >> 5 & 0x7f);
            total += sum > 4000 ? 10 : sum;
        }
    return crc16(crc, (uint32_t)total);
}

/* ---- number scanner ---- */

enum State { START, SIGN, INTEGER, FRACTION, EXPONENT, POWER, INVALID, STATES };

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum State scan(enum State state, char c)
{
    switch (state) {
    case START: return is_digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : INVALID;
    case SIGN: return is_digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID;
    case INTEGER: return is_digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID;
    case FRACTION: return is_digit(c) ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return is_digit(c) || c == '+' || c == '-' ? POWER : INVALID;
    case POWER: return is_digit(c) ? POWER : INVALID;
    default: return INVALID;
    }
}

static uint16_t scanner_part(uint32_t seed, uint16_t crc)
{
    uint32_t visits[STATES] = {0};
    for (uint32_t i = 0; i < 4 * TEXT_KINDS; i++) {
        enum State state = START;
        for (const char *p = texts[(seed + i * 3) % TEXT_KINDS]; *p != '\0'; p++)
            visits[state = scan(state, *p)]++;
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(crc, visits[i]);
    return crc;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    Compare *const orders[2] = {by_value, by_index};
    uint16_t crc = 0xffff;
    for (uint32_t round = 0; round < rounds; round++) {
        crc = list_part(round + crc, crc, orders);
        crc = matrix_part(round + crc, crc);
        crc = scanner_part(round + crc, crc);
    }
    printf("mix %08" PRIx32 "\n", (uint32_t)crc << 16 | (uint16_t)rounds);
    return 0;
}
