/* Background translation: what is hot is asked for in a queue, and the guest goes on in the interpreter; a thread of Python
 * translates it, and announces that there are units, which the CPU thread installs between two instructions.
 *
 * What a translation depends on beside guest bytes (hooks, homes, instructions that are left alone, mixed pages, whether it
 * counts) has an epoch: a unit is installed in the epoch in which its translation began, or not at all. The number is raised
 * behind each such change, so who reads it first and then the rest has no newer number than his facts.
 */
#ifndef DR_BACKGROUND_H
#define DR_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dr_core;

#define DR_WANTED 64u

/* A block that is asked for, and how often it was. */
struct dr_wanted {
    uint32_t pc, times;
};

struct dr_background {
    atomic_bool on;
    atomic_bool ready;    /* there are units to install */
    atomic_bool calling;  /* dr_run calls Python */
    pthread_mutex_t lock; /* for the next four */
    pthread_cond_t asked;
    struct dr_wanted wanted[DR_WANTED]; /* in the order of their first times */
    uint32_t count;
    bool ended;
    _Atomic uint64_t epoch;
    uint64_t left; /* nanoseconds of the host's clock when dr_run returned last; of the CPU thread */
};

void dr_make_background(struct dr_core *core); /* anew, with nothing wanted */
bool dr_want(struct dr_core *core, uint32_t pc); /* asks for it; false: the run loop has to */
void dr_new_epoch(struct dr_core *core);
void dr_calls_python(struct dr_core *core, bool calls); /* around each call of Python in dr_run */

#endif
