/*
 * words: counts the words of text files, or of the standard input, and lists them by how often they occur.
 *
 *     words [-n COUNT] [FILE...]      COUNT: lines of the list, default 10, 0 for all
 */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LINES = 10, LONGEST_WORD = 63, FIRST_BUCKETS = 256, USAGE_ERROR = 2 };

struct Word {
    struct Word *next; /* in the same bucket */
    unsigned long count;
    char text[];
};

struct Table {
    struct Word **buckets;
    size_t size, used; /* size is a power of two */
    unsigned long total;
};

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        fprintf(stderr, "words: out of memory\n");
        exit(1);
    }
    return memory;
}

static size_t bucket_of(const struct Table *table, const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash & (table->size - 1);
}

static void push(struct Table *table, struct Word *word)
{
    struct Word **bucket = &table->buckets[bucket_of(table, word->text)];
    word->next = *bucket;
    *bucket = word;
}

static void grow(struct Table *table)
{
    struct Word **old = table->buckets;
    size_t old_size = table->size;
    table->size = old_size == 0 ? FIRST_BUCKETS : 2 * old_size;
    table->buckets = allocate(table->size * sizeof(*table->buckets));
    for (size_t i = 0; i < old_size; i++)
        for (struct Word *word = old[i], *next; word != NULL; word = next) {
            next = word->next;
            push(table, word);
        }
    free(old);
}

static struct Word *find(const struct Table *table, const char *text)
{
    struct Word *word = table->buckets[bucket_of(table, text)];
    while (word != NULL && strcmp(word->text, text) != 0)
        word = word->next;
    return word;
}

static void count(struct Table *table, const char *text)
{
    if (table->used >= table->size)
        grow(table);
    struct Word *word = find(table, text);
    if (word == NULL) {
        word = allocate(sizeof *word + strlen(text) + 1);
        strcpy(word->text, text);
        push(table, word);
        table->used++;
    }
    word->count++;
    table->total++;
}

/* A word is a run of letters, digits and apostrophes; what is longer than LONGEST_WORD is cut into several. */
static void count_stream(struct Table *table, FILE *stream)
{
    char text[LONGEST_WORD + 1];
    size_t length = 0;
    for (int c; (c = getc(stream)) != EOF;) {
        int part = isalnum(c) || (c == '\'' && length > 0);
        if (part)
            text[length++] = (char)tolower(c);
        if (length > 0 && (!part || length == LONGEST_WORD)) {
            text[length] = '\0';
            count(table, text);
            length = 0;
        }
    }
    text[length] = '\0';
    if (length > 0)
        count(table, text);
}

static int count_file(struct Table *table, const char *path)
{
    FILE *stream = fopen(path, "r");
    if (stream == NULL) {
        fprintf(stderr, "words: %s: %s\n", path, strerror(errno));
        return 1;
    }
    count_stream(table, stream);
    fclose(stream);
    return 0;
}

static int by_count(const void *left, const void *right)
{
    const struct Word *a = *(struct Word *const *)left, *b = *(struct Word *const *)right;
    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(a->text, b->text);
}

static void report(const struct Table *table, size_t lines)
{
    struct Word **sorted = allocate((table->used + 1) * sizeof(*sorted)), **end = sorted;
    for (size_t i = 0; i < table->size; i++)
        for (struct Word *word = table->buckets[i]; word != NULL; word = word->next)
            *end++ = word;
    qsort(sorted, table->used, sizeof *sorted, by_count);
    printf("%lu words, %lu different\n", table->total, (unsigned long)table->used);
    for (size_t i = 0; i < table->used && (lines == 0 || i < lines); i++)
        printf("%8lu  %s\n", sorted[i]->count, sorted[i]->text);
    free(sorted);
}

int main(int argc, char **argv)
{
    struct Table table = {0};
    size_t lines = DEFAULT_LINES;
    int next = 1, failed = 0;
    if (argc > 1 && strcmp(argv[1], "-n") == 0) {
        if (argc < 3 || !isdigit((unsigned char)*argv[2])) {
            fprintf(stderr, "usage: words [-n COUNT] [FILE...]\n");
            return USAGE_ERROR;
        }
        lines = strtoul(argv[2], NULL, 10);
        next = 3;
    }
    if (next == argc)
        count_stream(&table, stdin);
    for (; next < argc; next++)
        failed |= count_file(&table, argv[next]);
    report(&table, lines);
    return failed;
}
