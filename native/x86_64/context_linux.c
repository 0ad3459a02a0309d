#include <ucontext.h>

#include "context.h"
#include "host.h"

static const int registers[] = {REG_RBX, REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX, REG_RCX, REG_RDX};
_Static_assert(sizeof registers / sizeof *registers == DR_HOST_REGISTERS, "enter.S, dynarec/host/x86_64/regs.py");

static greg_t reg(const void *context, int number) {
    return ((const ucontext_t *)context)->uc_mcontext.gregs[number];
}

uint64_t dr_context_pc(const void *context) {
    return (uint64_t)reg(context, REG_RIP);
}

void dr_context_set_pc(void *context, uint64_t pc) {
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
}

uint32_t *dr_context_state(const void *context) {
    return (uint32_t *)reg(context, REG_RBP);
}

uint32_t dr_context_register(const void *context, unsigned number) {
    return (uint32_t)reg(context, registers[number]);
}

int64_t dr_context_budget(const void *context) {
    (void)context;
    return DR_BUDGET_IN_MEMORY;
}

void dr_context_set_budget(void *context, int32_t budget) {
    (void)context, (void)budget;
}
