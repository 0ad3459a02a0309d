/* What a guest has that nothing was generated for (evaluated.c). */
#ifndef DR_EVALUATED_H
#define DR_EVALUATED_H

#include "guest.h"

/* Executes the instruction at pc: an enum dr_status. */
typedef int dr_stepper(void *handle);

extern const struct dr_guest dr_evaluated;

void dr_connect_stepper(struct dr_core *core, void *handle, dr_stepper *stepper);

#endif
