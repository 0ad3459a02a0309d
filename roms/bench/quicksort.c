/* quicksort: median-of-three quicksort with insertion sort for the short ranges, on 32-bit keys. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_ROUNDS = 1500, COUNT = 1024, SHORT_RANGE = 12 };

static uint32_t keys[COUNT];

static void fill(uint32_t seed)
{
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        keys[i] = seed ^ seed >> 15;
    }
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void insertion_sort(uint32_t *a, int n)
{
    for (int i = 1; i < n; i++) {
        uint32_t key = a[i];
        int j = i;
        for (; j > 0 && a[j - 1] > key; j--)
            a[j] = a[j - 1];
        a[j] = key;
    }
}

/* Leaves the median of first, middle and last in the middle, and returns it. */
static uint32_t median_of_three(uint32_t *a, int n)
{
    uint32_t *mid = &a[n / 2], *last = &a[n - 1];
    if (*mid < *a)
        swap(mid, a);
    if (*last < *a)
        swap(last, a);
    if (*last < *mid)
        swap(last, mid);
    return *mid;
}

static void quicksort(uint32_t *a, int n)
{
    while (n > SHORT_RANGE) {
        uint32_t pivot = median_of_three(a, n);
        int i = 0, j = n - 1;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j)
                swap(&a[i++], &a[j--]);
        }
        quicksort(a, j + 1);
        a += i;
        n -= i;
    }
    insertion_sort(a, n);
}

static uint32_t digest(void)
{
    uint32_t sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum = (sum << 5 | sum >> 27) ^ keys[i];
    return sum;
}

int main(int argc, char **argv)
{
    uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : DEFAULT_ROUNDS;
    uint32_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        fill(round + sum);
        quicksort(keys, COUNT);
        sum += digest();
    }
    printf("quicksort %08" PRIx32 "\n", sum);
    return 0;
}
