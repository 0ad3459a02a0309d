/* The contract between the code region and the schemes that protect it (W^X policies), one file each.
 *
 * A policy maps a region whose pages the CPU can execute at `run`, and copies checked records into it at `writable`. What it
 * opens is open for as long as the copy takes, on every path; outside of `write`, no thread can write what it can execute
 * (except where a policy says so). Nobody but region.c knows which policy is in use.
 */
#ifndef DR_POLICY_H
#define DR_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"

/* Something to be written: `length` bytes of code follow, padded to words, and then `link_count` offsets in that code, as
 * words (dr_candidate.links). `offset` and `target` are bytes from the start of the region. */
struct dr_record {
    uint32_t offset;
    uint32_t length;
    uint32_t link_count; /* DR_PATCHED_BRANCH: no unit, but a link, which now goes to `target` */
    uint32_t target;     /* of a unit: its body, right behind its charge */
    int32_t charge;      /* what a unit takes from the budget at its start, or the link that leads to it */
};
#define DR_PATCHED_BRANCH UINT32_MAX

/* Records one behind the other, in memory that is private to the writing thread. */
struct dr_staged {
    const uint32_t *start, *end;
};

struct dr_region {
    const struct dr_policy *policy;
    uint8_t *run;      /* where the code runs */
    uint8_t *writable; /* where it is written: `run` again, or another view of the same pages */
    size_t size;
    int execute;       /* the protection of pages that run: PROT_EXEC, and what hardening adds */
    int key;           /* of policies that have one */
};

struct dr_policy {
    const char *name;
    enum dr_choice choice;
    const char *(*map)(struct dr_region *region, size_t size); /* NULL, or why it cannot */
    const char *(*write)(struct dr_region *region, const struct dr_staged *staged);
    /* Makes the instruction caches see what is new at a run address. */
    void (*flush)(const struct dr_region *region, uint8_t *start, size_t length);
    void (*read)(const struct dr_region *region, void *to, size_t offset, size_t length);
    void (*unmap)(struct dr_region *region);
};

/* The policies built for this system, strictest first, ended by NULL. */
extern const struct dr_policy *const dr_policies[];

/* What most policies need. */
void dr_flush_instructions(const struct dr_region *region, uint8_t *start, size_t length);
void dr_read_directly(const struct dr_region *region, void *to, size_t offset, size_t length);

/* Whether records may be written to a region, by their bytes alone: NULL, or why not; what may be jumped to and patched is
 * then known. Policies that hand their records to
 * somebody else (pthread_jit_write_with_callback_np) ask again on the other side. */
const char *dr_region_admit(struct dr_region *region, const struct dr_staged *staged);

static inline uint32_t dr_record_words(const struct dr_record *record) {
    uint32_t links = record->link_count == DR_PATCHED_BRANCH ? 0 : record->link_count;
    return sizeof *record / 4 + (record->length + 3) / 4 + links;
}

/* Copies the records to where they belong. It is inlined where the region is open, and all it works with are registers:
 * what it copied from and to could otherwise be changed on the stack by another thread. Words first, for there are many. */
__attribute__((always_inline)) static inline void dr_copy_records(uint8_t *region, const uint32_t *at,
                                                                  const uint32_t *end) {
    while (at < end) {
        const struct dr_record *record = (const struct dr_record *)at;
        uint8_t *to = region + record->offset;
        const uint8_t *from = (const uint8_t *)(record + 1), *behind = from + record->length;
        at += dr_record_words(record);
        for (; behind - from >= 4; from += 4, to += 4)
            __builtin_memcpy(to, from, 4);
        for (; from < behind; from++, to++)
            *(volatile uint8_t *)to = *from;
    }
}

#endif
