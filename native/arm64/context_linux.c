#include <ucontext.h>

#include "context.h"
#include "registers.h"

static uint64_t reg(const void *context, unsigned number) {
    return ((const ucontext_t *)context)->uc_mcontext.regs[number];
}

uint64_t dr_context_pc(const void *context) {
    return ((const ucontext_t *)context)->uc_mcontext.pc;
}

void dr_context_set_pc(void *context, uint64_t pc) {
    ((ucontext_t *)context)->uc_mcontext.pc = pc;
}

uint32_t *dr_context_state(const void *context) {
    return (uint32_t *)reg(context, DR_STATE_REGISTER);
}

uint32_t dr_context_register(const void *context, unsigned number) {
    return (uint32_t)reg(context, dr_registers[number]);
}

int64_t dr_context_budget(const void *context) {
    return (int32_t)reg(context, DR_BUDGET_REGISTER);
}

void dr_context_set_budget(void *context, int32_t budget) {
    ((ucontext_t *)context)->uc_mcontext.regs[DR_BUDGET_REGISTER] = (uint32_t)budget;
}
