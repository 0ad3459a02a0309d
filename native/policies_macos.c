#include "policy.h"

extern const struct dr_policy dr_policy_apple_callback, dr_policy_apple_witness, dr_policy_apple_toggle, dr_policy_dualmap,
    dr_policy_split;

const struct dr_policy *const dr_policies[] = {
    &dr_policy_apple_callback, &dr_policy_apple_witness, &dr_policy_apple_toggle, &dr_policy_dualmap, &dr_policy_split, NULL,
};
