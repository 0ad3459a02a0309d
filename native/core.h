/* One machine's core: CPU state, guest memory, code cache, run loop. Owned by its CPU thread. */
#ifndef DR_CORE_H
#define DR_CORE_H

#include <stdatomic.h>

#include "api.h"
#include "blocks.h"
#include "codemem.h"
#include "device.h"
#include "memory.h"

#define DR_HOT_SLOTS 16384
#define DR_MAX_WATCHES 16

/* What one step of an interpreter came to. */
enum dr_status {
    DR_STEPPED, /* the next instruction follows */
    DR_JUMPED,  /* control went elsewhere */
    DR_SYNC,    /* the guest says that it changed code */
    DR_TRAPPED, /* see `trap`; nothing of the instruction has happened */
};

struct dr_core;
typedef enum dr_status dr_step(struct dr_core *core);

struct dr_core {
    struct dr_cpu cpu;
    struct dr_memory memory;
    struct dr_codemem code;
    struct dr_blocks blocks;
    struct dr_config config;
    dr_step *step;
    uint32_t fault_homes[DR_MAX_HOMES]; /* the home registers when generated code faulted */
    struct dr_trap trap;
    struct dr_range watches[DR_MAX_WATCHES];
    unsigned watch_count;
    bool stored;           /* the last step stored to watched memory: see `trap` */
    uint32_t pending_exit; /* exit that led to a block without translation, to be linked once it has one */
    int64_t until;         /* block key to stop before, -1: none */
    uint64_t limit;        /* guest instructions that dr_run may still retire */
    struct dr_stats stats;
    atomic_bool stop;
    atomic_bool sync;      /* guest memory was written from outside: compare the units with it before running */
    void *handle; /* what device callbacks are given */
    dr_device_reader *read_device;
    dr_device_writer *write_device;
    const char *error;
    uint8_t hot[DR_HOT_SLOTS];
};

/* interp.h's generated functions by guest name; NULL if there is none. */
dr_step *dr_interpreter(const char *guest);

/* link.c */
bool dr_link(struct dr_core *core, uint32_t exit, uint32_t block); /* false: see `error` */
bool dr_invalidate(struct dr_core *core, uint32_t block);
bool dr_invalidate_changed(struct dr_core *core);
bool dr_install_unit(struct dr_core *core, const struct dr_unit *unit);
void dr_flush_all(struct dr_core *core);
void dr_jump_cache_add(struct dr_core *core, const struct dr_block *block);

/* fault.c */
const char *dr_faults_install(void);    /* once a process */
const char *dr_faults_thread(void);     /* once a CPU thread: the handler needs a stack of its own */
void dr_faults_watch(struct dr_core *core);   /* faults in this core's region are the guest's */
void dr_faults_unwatch(struct dr_core *core);

/* window_<host>.c */
const char *dr_window_bind(const struct dr_core *core); /* makes the window reachable for generated code on this thread */

/* enter_<host>.S */
void dr_enter(uint32_t *state, const void *entry);
extern const char dr_exit[], dr_exit_faulted[];

#endif
