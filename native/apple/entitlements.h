/* What this process may do with its code region, as its signature says. Some calls end a process that lacks, or has, an
 * entitlement; so the policies ask before they call. */
#ifndef DR_APPLE_ENTITLEMENTS_H
#define DR_APPLE_ENTITLEMENTS_H

#include <stdbool.h>

struct dr_entitlements {
    bool known;           /* the system answered */
    bool write_allowlist; /* com.apple.security.cs.jit-write-allowlist: the plain toggle is disabled, callbacks are checked */
    bool freeze_late;     /* com.apple.security.cs.jit-write-allowlist-freeze-late: libraries may bring callbacks along */
};

/* Asked of the system once a process: what it asks may not be used in the child of a fork. */
struct dr_entitlements dr_apple_entitlements(void);

#endif
