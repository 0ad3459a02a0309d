#include "policy.h"

extern const struct dr_policy dr_policy_pkey, dr_policy_mprotect, dr_policy_dualmap, dr_policy_split;

const struct dr_policy *const dr_policies[] = {
#if defined(__x86_64__) /* the C library sets keys there alone */
    &dr_policy_pkey,
#endif
    &dr_policy_mprotect, &dr_policy_dualmap, &dr_policy_split, NULL,
};
