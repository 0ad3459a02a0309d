/* Conditions of hooks: programs for a small stack machine, run where a hook would stop the guest. Where none holds, the guest goes
 * on at once.
 *
 * Values are words, and the ops have the edge cases of the IR's table. A program is checked when it is set: its skips go forwards
 * only, so it ends; its stack is bounded, and as deep at each place from wherever that is reached; it leaves one word.
 */
#ifndef DR_CONDITIONS_H
#define DR_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"

/* NULL, or why the program is refused. of_access: there is an access to ask about. */
const char *dr_condition_problem(const struct dr_condition *condition, bool of_access);

bool dr_condition_equals(const struct dr_condition *one, const struct dr_condition *other);

/* Of a hook of [start, end), and of what is about to happen. What cannot be evaluated (memory that is not mapped, a division by
 * zero) holds, for somebody has to look. The program has been checked. */
bool dr_condition_holds(struct dr_core *core, const struct dr_condition *condition, uint64_t start, uint64_t end,
                        const struct dr_hit *hit);

#endif
