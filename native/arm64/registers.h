/* Which registers generated code uses for what (enter.S, dynarec/host/arm64/regs.py). */
#ifndef DR_REGISTERS_H
#define DR_REGISTERS_H

#include "host.h"

#define DR_BUDGET_REGISTER 26
#define DR_STATE_REGISTER 28

static const unsigned char dr_registers[] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
                                             13, 14, 15, 19, 20, 21, 22, 23, 24, 16, 17, 30};
_Static_assert(sizeof dr_registers == DR_HOST_REGISTERS, "enter.S");

#endif
