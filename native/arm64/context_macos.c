#include <mach/thread_status.h>
#include <sys/ucontext.h>

#include "context.h"
#include "registers.h"

#define LINK_REGISTER 30

static uint64_t reg(const void *context, unsigned number) {
    const _STRUCT_ARM_THREAD_STATE64 *state = &((const ucontext_t *)context)->uc_mcontext->__ss;
    return number == LINK_REGISTER ? arm_thread_state64_get_lr(*state) : state->__x[number];
}

uint64_t dr_context_pc(const void *context) {
    return arm_thread_state64_get_pc(((const ucontext_t *)context)->uc_mcontext->__ss);
}

void dr_context_set_pc(void *context, uint64_t pc) {
    arm_thread_state64_set_pc_fptr(((ucontext_t *)context)->uc_mcontext->__ss, (void *)pc);
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
    ((ucontext_t *)context)->uc_mcontext->__ss.__x[DR_BUDGET_REGISTER] = (uint32_t)budget;
}
