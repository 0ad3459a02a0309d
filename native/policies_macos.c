#include "codemem.h"

extern const struct dr_policy dr_policy_apple_toggle;

const struct dr_policy *const dr_policies[] = {&dr_policy_apple_toggle, NULL};
