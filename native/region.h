/* One region for each process and policy, shared out in slices; what may be jumped to and patched in it. */
#ifndef DR_REGION_H
#define DR_REGION_H

#include "policy.h"

/* What code in a slice has to keep to, beside what all code has to. */
struct dr_rules {
    uint8_t harden;     /* enum dr_harden bits */
};

struct dr_slice {
    uint32_t number; /* 0: none */
    uint32_t offset, size;
};

/* A slice of `size` bytes of a policy's region, which is mapped and proven if it was not; "auto" is the first policy that can.
 * NULL, or why not. */
const char *dr_slice_open(const char *policy, uint32_t size, struct dr_rules rules, struct dr_region **region,
                          struct dr_slice *slice);
void dr_slice_release(struct dr_region *region, const struct dr_slice *slice);

/* Unmaps regions that no machine has a slice of: a hardened program on a Mac may have one at a time. */
void dr_region_drop_unused(void);

/* The range holds no units any more. */
void dr_region_forget(struct dr_region *region, uint32_t offset, uint32_t size);

/* From now on, forks are counted, and the child of one has no regions. */
void dr_region_watch_forks(void);

/* Forks that lie behind this process since the library was loaded: regions do not survive one. */
extern unsigned dr_forks;

#endif
