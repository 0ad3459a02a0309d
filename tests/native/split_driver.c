/* The model of an incoherent instruction cache: what was written runs when just its place was flushed, and not before. */
#include <stdio.h>
#include <string.h>

#include "policy.h"

extern const struct dr_policy dr_policy_split;

void dr_flush_instructions(const struct dr_region *region, uint8_t *start, size_t length) {
    (void)region;
    __builtin___clear_cache((char *)start, (char *)start + length);
}

void dr_read_directly(const struct dr_region *region, void *to, size_t offset, size_t length) {
    memcpy(to, region->run + offset, length);
}

#define SIZE ((size_t)1 << 20)
#define PLACE 0x10040u

/* Functions that return a number. */
#if defined(__x86_64__)
#define RETURN(number) {0xb8, number, 0, 0, 0, 0xc3, 0x90, 0x90}
#else
#define RETURN(number) {(number) << 5 & 0xe0, (number) >> 3, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6}
#endif
static const uint8_t codes[3][8] = {RETURN(1), RETURN(2), RETURN(3)};

static void write_code(struct dr_region *region, unsigned number) {
    struct {
        struct dr_record record;
        uint8_t code[8];
    } words = {{PLACE, 8, 0, 0, 0}, {0}};
    memcpy(words.code, codes[number - 1], 8);
    struct dr_staged staged = {(const uint32_t *)&words, (const uint32_t *)(&words + 1)};
    dr_policy_split.write(region, &staged);
}

static int run(const struct dr_region *region) {
    int (*function)(void);
    const uint8_t *start = region->run + PLACE;
    memcpy(&function, &start, sizeof function);
    return function();
}

int main(void) {
    struct dr_region region = {.policy = &dr_policy_split, .size = SIZE, .execute = 4 /* PROT_EXEC */};
    if (dr_policy_split.map(&region, SIZE))
        return 1;
    uint8_t *start = region.run + PLACE;
    write_code(&region, 1);
    dr_policy_split.flush(&region, start, 8);
    printf("%d", run(&region));
    for (int i = 0; i < 3; i++) {
        write_code(&region, 2);
        printf(" %d", run(&region)); /* not flushed */
        dr_policy_split.flush(&region, region.writable + PLACE, 8);
        printf(" %d", run(&region)); /* at the address where it was written */
        dr_policy_split.flush(&region, start + 8, 8);
        printf(" %d", run(&region)); /* behind it */
    }
    dr_policy_split.flush(&region, start, 8);
    printf(" %d", run(&region));
    write_code(&region, 3);
    dr_policy_split.flush(&region, start - 64, 128);
    printf(" %d\n", run(&region));
    dr_policy_split.unmap(&region);
    return 0;
}
