/* strings: bytes and strings with loops of our own: length, copy, compare, reverse, case folding and substring search. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 1000, TEXT = 6000 };

static char text[TEXT + 1], copy[TEXT + 1];
static const char *const words[] = {
    "guest", "host", "block", "trace", "link", "cache", "page", "fault", "register", "branch", "table", "window",
    "a", "the", "of", "every",
};
static const char *const needles[] = {"cache page", "the host", "trace trace", "every window of", "zebra"};

static size_t length(const char *s)
{
    const char *p = s;
    while (*p != '\0')
        p++;
    return (size_t)(p - s);
}

static char *append(char *to, const char *from)
{
    while (*from != '\0')
        *to++ = *from++;
    return to;
}

static int compare(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

static void reverse(char *s, size_t n)
{
    for (char *end = s + n; s < --end; s++) {
        char t = *s;
        *s = *end;
        *end = t;
    }
}

static void fold_case(char *s)
{
    for (; *s != '\0'; s++)
        if (*s >= 'a' && *s <= 'z')
            *s = (char)(*s - 'a' + 'A');
}

static uint32_t count_matches(const char *s, const char *needle)
{
    uint32_t found = 0;
    for (; *s != '\0'; s++) {
        size_t i = 0;
        while (needle[i] != '\0' && s[i] == needle[i])
            i++;
        found += needle[i] == '\0';
    }
    return found;
}

static void write_text(uint32_t seed)
{
    char *to = text;
    while (to < text + TEXT - 16) {
        seed = seed * 1664525u + 1013904223u;
        to = append(to, words[seed >> 28]);
        *to++ = ' ';
    }
    *to = '\0';
}

static uint32_t work(uint32_t seed)
{
    uint32_t sum = 0;
    write_text(seed);
    for (size_t i = 0; i < sizeof needles / sizeof *needles; i++)
        sum = sum * 7 + count_matches(text, needles[i]);
    *append(copy, text) = '\0';
    reverse(copy, length(copy));
    reverse(copy, length(copy));
    sum += (uint32_t)length(copy) + (compare(copy, text) == 0 ? 1000 : 0);
    fold_case(copy);
    return sum * 3 + (uint32_t)compare(copy, text) + (uint8_t)copy[seed % 4096];
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++)
        sum = sum * 31 + work(round + sum);
    printf("strings %08" PRIx32 "\n", sum);
    return 0;
}
