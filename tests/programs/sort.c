/* qsort and bsearch over records, with a function pointer for the order. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
    uint32_t key;
    char name[12];
};

enum { RECORDS = 1500 };

static int by_key(const void *left, const void *right)
{
    const struct record *a = left, *b = right;
    return a->key < b->key ? -1 : a->key > b->key;
}

static int by_name(const void *left, const void *right)
{
    const struct record *a = left, *b = right;
    return strcmp(a->name, b->name);
}

int main(void)
{
    static struct record records[RECORDS];
    uint32_t state = 99;
    for (int i = 0; i < RECORDS; i++) {
        state = state * 1103515245u + 12345u;
        records[i].key = state >> 4;
        snprintf(records[i].name, sizeof records[i].name, "n%lu", (unsigned long)(state % 100000));
    }
    qsort(records, RECORDS, sizeof *records, by_name);
    printf("%s %s\n", records[0].name, records[RECORDS - 1].name);
    qsort(records, RECORDS, sizeof *records, by_key);
    printf("%lu %lu\n", (unsigned long)records[0].key, (unsigned long)records[RECORDS - 1].key);
    struct record wanted = {.key = records[RECORDS / 2].key};
    struct record *found = bsearch(&wanted, records, RECORDS, sizeof *records, by_key);
    printf("%d\n", found ? (int)(found - records) : -1);
    return 0;
}
