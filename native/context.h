/* The registers of a thread that faulted, out of the third argument of a signal handler. One file for each system and host. */
#ifndef DR_CONTEXT_H
#define DR_CONTEXT_H

#include <stdint.h>

#define DR_BUDGET_IN_MEMORY INT64_MIN

uint64_t dr_context_pc(const void *context);
void dr_context_set_pc(void *context, uint64_t pc);
uint32_t *dr_context_state(const void *context);      /* the register that holds dr_cpu.state in generated code */
uint32_t dr_context_register(const void *context, unsigned number); /* the homes, and then those in which units compute */
int64_t dr_context_budget(const void *context);       /* DR_BUDGET_IN_MEMORY where no register holds it */

void dr_context_set_budget(void *context, int32_t budget); /* where a register holds it */

#endif
