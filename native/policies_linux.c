#include "codemem.h"

extern const struct dr_policy dr_policy_mprotect, dr_policy_dualmap;

const struct dr_policy *const dr_policies[] = {&dr_policy_mprotect, &dr_policy_dualmap, NULL};
