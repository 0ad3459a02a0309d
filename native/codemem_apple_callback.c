/* One MAP_JIT region, written by a listed callback alone (pthread_jit_write_with_callback_np, its man page, section 3).
 *
 * What the list is worth comes from the entitlement com.apple.security.cs.jit-write-allowlist: without it the system checks
 * nothing, and this is the plain toggle by another name: refused. Python loads the core with dlopen, so the process also
 * needs the entitlement for a late freeze; with it the list has to be frozen exactly once, before the first write.
 *
 * The callback may be called by an attacker who has no other way to write code. It takes nothing but bytes from its context:
 * it copies them, checks the copy as if it had never been checked, and writes that copy into the one region it knows.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "apple/entitlements.h"
#include "apple/region.h"
#include "policy.h"

#define ROOM (UINT32_C(1) << 19) /* bytes; the largest record, 64 KiB of code and a link in each byte of it, takes less */

enum outcome { WRITTEN, NO_REGION, MISSHAPEN, REFUSED, OUTCOMES };

static const char *const reasons[OUTCOMES] = {
    [NO_REGION] = "the callback has no code region to write to",
    [MISSHAPEN] = "the callback was given a batch of no possible size",
    [REFUSED] = "the callback refused what it was given",
};

static struct dr_region *the_region;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the copy */
static uint32_t copy[ROOM / 4];

static int write_copy(uint32_t words) {
    struct dr_staged checked = {copy, copy + words};
    if (!the_region)
        return NO_REGION;
    if (dr_region_admit(the_region, &checked))
        return REFUSED;
    dr_copy_records(the_region->writable, copy, copy + words);
    return WRITTEN;
}

/* The context is read once, whatever another thread writes to it meanwhile. */
static int write_checked(void *context) {
    const volatile struct dr_staged *claimed = context;
    uintptr_t start = (uintptr_t)claimed->start, end = (uintptr_t)claimed->end;
    if (end < start || end - start > sizeof copy || (end - start) % sizeof *copy)
        return MISSHAPEN;
    pthread_mutex_lock(&lock);
    memmove(copy, (const void *)start, end - start); /* NOLINT: an address is all that is claimed */
    int outcome = write_copy((uint32_t)((end - start) / sizeof *copy));
    pthread_mutex_unlock(&lock);
    return outcome;
}

PTHREAD_JIT_WRITE_ALLOW_CALLBACKS_NP(write_checked);

static const char *check_entitlements(void) {
    struct dr_entitlements entitlements = dr_apple_entitlements();
    if (!entitlements.known)
        return "the system does not say which entitlements this Python has";
    if (entitlements.write_allowlist && entitlements.freeze_late)
        return NULL;
    return "this Python lacks the entitlements com.apple.security.cs.jit-write-allowlist and -freeze-late: make one that has "
           "them with dynarec sign-python --allowlist";
}

/* A second call ends the process, and so does a write before the first. The caller holds the lock of all mappings. */
static const char *freeze_once(void) {
    static bool frozen;
    if (__builtin_available(macOS 12.1, *)) {
        if (!frozen)
            pthread_jit_write_freeze_callbacks_np();
        frozen = true;
        return NULL;
    }
    return "needs macOS 12.1 or later";
}

static const char *map_region(struct dr_region *region, size_t size) {
    const char *error = check_entitlements();
    if (!error)
        error = freeze_once();
    if (!error)
        error = dr_map_jit(region, size);
    if (!error)
        the_region = region;
    return error;
}

static const char *hand_over(const uint32_t *start, const uint32_t *end) {
    struct dr_staged part = {start, end};
    if (__builtin_available(macOS 11.4, *)) {
        int outcome = pthread_jit_write_with_callback_np(write_checked, &part);
        return outcome >= 0 && outcome < OUTCOMES ? reasons[outcome] : reasons[REFUSED];
    }
    return "needs macOS 12.1 or later";
}

/* As many records as the callback has room for, at least one. */
static const uint32_t *end_of_part(const uint32_t *start, const uint32_t *end) {
    const uint32_t *at = start + dr_record_words((const struct dr_record *)start);
    while (at < end) {
        const uint32_t *next = at + dr_record_words((const struct dr_record *)at);
        if (next - start > (ptrdiff_t)(ROOM / 4))
            break;
        at = next;
    }
    return at;
}

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    const char *error = region == the_region ? NULL : reasons[NO_REGION];
    for (const uint32_t *at = staged->start; at < staged->end && !error;) {
        const uint32_t *end = end_of_part(at, staged->end);
        error = hand_over(at, end);
        at = end;
    }
    return error;
}

static void unmap_region(struct dr_region *region) {
    the_region = NULL;
    munmap(region->run, region->size);
}

const struct dr_policy dr_policy_apple_callback = {
    "apple-callback", DR_IF_THERE, map_region, write_batch, dr_flush_instructions, dr_read_directly, unmap_region,
};
