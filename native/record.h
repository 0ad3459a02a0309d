/* What an inspector is told of a core: what units counted, what happened to the cache, what the interpreter executed, and where
 * the CPU thread is from time to time. Nothing of it is there, or costs anything but a branch, unless it was asked for.
 */
#ifndef DR_RECORD_H
#define DR_RECORD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api.h"
#include "blocks.h"

#define DR_SAMPLES 1024u

/* How often the interpreter has executed the instructions at some addresses: a hash table with open addressing, to which the CPU
 * thread alone adds. With the tables locked, others may read it, and it moves to more room. */
struct dr_census {
    struct dr_tally *at; /* `count` 0: free */
    uint32_t size, used; /* the size is a power of two */
};

struct dr_recorder {
    bool on;
    struct dr_event *events; /* a ring */
    uint32_t event_room;
    uint64_t event_count;
    struct dr_census census;
    pthread_t sampler;
    bool sampling;
    unsigned forks;          /* of this process, when the sampler was started: it is not in the child of one */
    uint32_t period;         /* of the sampler, in microseconds */
    atomic_bool sampler_stops, sample_due;
    atomic_bool busy;        /* the machine runs, be it in Python */
    atomic_uint sampled, settled; /* samples taken, and given to units, modulo 2^32 */
    uint32_t samples[DR_SAMPLES]; /* offsets in the code region */
    uint64_t elsewhere[DR_PLACES];
};

struct dr_core;

void dr_note_event(struct dr_core *core, enum dr_event_kind kind, uint32_t serial, uint32_t other, uint64_t value);
void dr_note_interpreted(struct dr_core *core, uint32_t pc);
void dr_sampled(struct dr_core *core, uint64_t pc); /* in the handler of a signal, on the CPU thread */
void dr_settle_samples(struct dr_core *core);       /* with the tables locked: to the units where they fell */
void dr_samplers_hold(bool hold);                   /* no sampler has a lock while a process forks */
void dr_recorder_free(struct dr_core *core);
uint64_t dr_nanoseconds(void);

#endif
