/* One Apple policy at work on a Mac: maps, writes a unit, flushes and runs it, patches its branch, flushes and runs it again,
 * unmaps. It is run by macho.py; the first argument of `main` chooses the policy. 0: all as it should be. */
#include <libkern/OSCacheControl.h>
#include <stdint.h>
#include <string.h>

#include "policy.h"

#define SIZE ((size_t)1 << 20)
#define PLACE 4096
#define FIRST 1
#define SECOND 2

extern const struct dr_policy dr_policy_apple_toggle, dr_policy_apple_callback, dr_policy_apple_witness;

static const struct dr_policy *const policies[] = {
    &dr_policy_apple_toggle, &dr_policy_apple_callback, &dr_policy_apple_witness};

enum { DONE, NOT_MAPPED, NOT_WRITTEN, NOT_RUN, NOT_PATCHED, NOT_RUN_PATCHED };

/* Three instructions each: movz w0, #FIRST; ret; nop. A branch over the first of them. */
#define RETURN(number) UINT32_C(0x52800000) | (number) << 5, UINT32_C(0xd65f03c0)
#define BRANCH(words) UINT32_C(0x14000000) | (words)

static const uint32_t unit[] = {PLACE, 20, 1, 0, 0, BRANCH(1), RETURN(FIRST), RETURN(SECOND), 0};
static const uint32_t patch[] = {PLACE, 4, DR_PATCHED_BRANCH, PLACE + 12, 0, BRANCH(3)};

void dr_flush_instructions(const struct dr_region *region, uint8_t *start, size_t length) {
    (void)region;
    sys_icache_invalidate(start, length);
}

void dr_read_directly(const struct dr_region *region, void *to, size_t offset, size_t length) {
    memcpy(to, region->run + offset, length);
}

const char *dr_region_admit(struct dr_region *region, const struct dr_staged *staged) {
    return staged->start[0] < region->size ? NULL : "out of the region";
}

static const char *write_words(struct dr_region *region, const uint32_t *start, const uint32_t *end) {
    struct dr_staged staged = {start, end};
    const char *error = region->policy->write(region, &staged);
    if (!error)
        region->policy->flush(region, region->run + start[0], start[1]);
    return error;
}

static int run(const struct dr_region *region) {
    int (*function)(void);
    const uint8_t *start = region->run + PLACE;
    memcpy(&function, &start, sizeof function);
    return function();
}

static int work(struct dr_region *region) {
    if (write_words(region, unit, unit + sizeof unit / sizeof *unit))
        return NOT_WRITTEN;
    if (run(region) != FIRST)
        return NOT_RUN;
    if (write_words(region, patch, patch + sizeof patch / sizeof *patch))
        return NOT_PATCHED;
    return run(region) == SECOND ? DONE : NOT_RUN_PATCHED;
}

int main(int which, char **arguments) {
    (void)arguments;
    struct dr_region region = {.policy = policies[which], .size = SIZE};
    if (region.policy->map(&region, SIZE))
        return NOT_MAPPED;
    int status = work(&region);
    region.policy->unmap(&region);
    return status;
}
