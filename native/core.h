/* One machine's core: CPU state, guest memory, code cache, run loop. Owned by its CPU thread. */
#ifndef DR_CORE_H
#define DR_CORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "api.h"
#include "background.h"
#include "blocks.h"
#include "codemem.h"
#include "decoded.h"
#include "device.h"
#include "evaluated.h"
#include "guest.h"
#include "hooks.h"
#include "host.h"
#include "memory.h"
#include "observe.h"
#include "record.h"

#define DR_HOT_SLOTS 16384
#define DR_DEATH_LOG 1024u
#define DR_SITE_COUNTS 4096u /* instructions share them */
#define DR_STORE_COUNTS 4096u /* pages share them, as in a hash table */
#define DR_MOST_STORES 16

/* What went wrong last on this thread. */
extern _Thread_local const char *dr_failure;

/* How the guest's time passes. */
struct dr_clock {
    uint32_t ticks_per_second;
    uint32_t instructions_per_tick; /* 0: as the host's clock does */
    uint64_t skipped;               /* instructions by which virtual time is ahead of those retired */
    uint64_t epoch;                 /* nanoseconds of the host's clock at tick 0 */
};

/* An instruction that keeps reaching devices. calm: how often since then it has not. */
struct dr_slow_site {
    uint32_t pc;
    uint32_t calm, patience;
};

/* A read of guest memory whose pages have to be opened for it: only the thread that runs the guest can, between two of its
 * instructions. */
struct dr_ask {
    uint64_t address, size;
    void *to;
    const char *error;
    bool done;
};

struct dr_core {
    struct dr_cpu cpu;
    struct dr_memory memory;
    struct dr_codemem code;
    struct dr_blocks blocks;
    struct dr_decoded_code decoded;
    pthread_mutex_t tables; /* taken to change `blocks` or the code region, and to look at them from another thread */
    unsigned forks;         /* of this process, when the lock was made */
    DR_VECTOR(struct dr_patch) batch; /* to be written to the code region together */
    DR_VECTOR(struct dr_range) dead;  /* in the code region: what has died since */
    DR_VECTOR(uint32_t) links;
    DR_VECTOR(uint8_t) counting; /* the code of a unit with the counters that are its own */
    struct dr_config config;
    const struct dr_guest *guest;
    dr_stepper *stepper; /* for `dr_evaluated` */
    void *stepper_handle;
    uint32_t fault_registers[DR_HOST_REGISTERS]; /* the homes, and then the others, when generated code faulted */
    int fault_signal;
    volatile bool in_code; /* a fault now is generated code's */
    struct dr_trap trap;
    struct dr_hooks hooks;
    struct dr_observer observer;
    struct dr_recorder recorder;
    uint32_t at;           /* pc of the instruction that is being interpreted, or was last */
    int event;             /* the last step came to this enum dr_stop beside being done; 0: to nothing */
    bool slow_access;      /* the last step reached a device or a watched page */
    DR_VECTOR(struct dr_slow_site) sites; /* instructions that are left to the interpreter because they do that often */
    _Atomic uint64_t site_changes;
    uint8_t site_faults[DR_SITE_COUNTS];
    DR_VECTOR(struct dr_device) devices;
    const struct dr_device *last_device; /* that was used since one was added, NULL: none */
    struct dr_link *pending_exit; /* exit that led to a block without translation, to be linked once it has one */
    bool failed;           /* units could not be invalidated: see `dr_failure` */
    uint8_t stores[DR_STORE_COUNTS]; /* that faulted because of code, by page */
    struct dr_death_record deaths[DR_DEATH_LOG];
    int64_t until;         /* pc to stop before, which is hooked; -1: none */
    uint64_t limit;        /* guest instructions that dr_run may still retire before it has to look at the clock */
    uint64_t beyond;       /* and those after that */
    bool own_traps;        /* traps and interrupts are delivered to the guest */
    atomic_bool attend;    /* lines, sources, input or the deadline have changed: the run loop has to look */
    atomic_uint lines;     /* the interrupt lines that are up, as the guest's bits */
    int64_t waits;         /* pc behind an instruction that waits for an interrupt, -1: none */
    uint64_t deadline;     /* in ticks: when `deadline_lines` go up */
    uint32_t deadline_lines;
    struct dr_clock clock;
    struct dr_stats stats;
    uint64_t rewound;      /* of the instructions in `stats`, those that the guest does not count: they were undone */
    struct dr_background background;
    atomic_bool stop;
    atomic_bool sync;      /* guest memory was written from outside: compare the units with it before running */
    pthread_mutex_t wake_lock; /* for the next six */
    pthread_cond_t wake;       /* a guest that waits may have to go on */
    bool attracted;            /* since it was last asked */
    bool in_run;
    pthread_t thread;          /* that is in dr_run */
    _Atomic(struct dr_ask *) asked; /* another thread wants to read what the guest may not */
    pthread_cond_t answered;
    atomic_bool kicked;        /* a signal is under way to make it look */
    volatile bool hurried;     /* it came while generated code was not running */
    struct dr_clint clint;
    struct dr_plic plic;
    struct dr_uart uart;
    uint32_t software_line, timer_line, external_line; /* bits of `lines` */
    atomic_uint sources;       /* lines into the PLIC */
    uint32_t uart_line;        /* its number at the PLIC, 0: none */
    void *uart_handle;
    dr_uart_sender *uart_sender;
    dr_uart_source *uart_source;
    bool uart_ended;           /* the source is empty */
    pthread_mutex_t mail_lock; /* for the next two */
    uint8_t mail[sizeof(((struct dr_uart *)0)->backlog)]; /* input from other threads */
    atomic_uint mail_count;
    uint32_t off_status;
    uint8_t hot[DR_HOT_SLOTS];
};

/* What is generated for a guest, by its name; NULL if there is nothing. */
const struct dr_guest *dr_interpreter(const char *guest);

/* traps.c */
int dr_trapped(struct dr_core *core);      /* the last step trapped: -1 when the guest takes it, else why dr_run returns */
int dr_waiting(struct dr_core *core);      /* the last step waits: as above */
bool dr_still_waits(struct dr_core *core); /* whether the guest is where it waits for an interrupt, and there is none */
bool dr_must_attend(struct dr_core *core); /* whether dr_attend has something to do */
void dr_attend(struct dr_core *core);      /* before any instruction: devices, the deadline, then interrupts; sets `limit` */
void dr_attract(struct dr_core *core);     /* makes the run loop look soon; any thread */
void dr_make_wakeup(struct dr_core *core);
enum dr_asked { DR_NOT_RUNNING, DR_ANSWERED, DR_UNANSWERED };
enum dr_asked dr_ask(struct dr_core *core, struct dr_ask *ask); /* has the thread that is in dr_run read */
void dr_answer(struct dr_core *core);
bool dr_runs_elsewhere(struct dr_core *core);
void dr_enter_run(struct dr_core *core, bool in);

/* sites.c */
bool dr_site_faulted(struct dr_core *core, uint32_t pc); /* because it reached no plain memory; false: see `dr_failure` */
bool dr_site_calm(struct dr_core *core, uint32_t pc);    /* an instruction was left to the interpreter and reached plain memory */

/* devices/ */
void dr_update_plic(struct dr_core *core);
void dr_update_uart(struct dr_core *core);

/* As dr_hooks_in_page, for any address. */
static inline uint32_t dr_hooks_at(const struct dr_core *core, uint32_t pc, bool begins) {
    return dr_memory_page(&core->memory, pc) & DR_HOOKED ? dr_hooks_in_page(core, pc, begins) : 0;
}

/* How often the block at a pc was executed; others share it. */
static inline uint8_t *dr_heat(struct dr_core *core, uint32_t pc) {
    return &core->hot[pc >> core->config.jump_shift & (DR_HOT_SLOTS - 1)];
}

/* Counts one more execution of the block at a pc; whether it has become worth a translation. */
static inline bool dr_heats(struct dr_core *core, uint32_t pc) {
    uint8_t *count = dr_heat(core, pc);
    if (*count < core->config.hot)
        ++*count;
    return *count >= core->config.hot;
}

/* Whether dr_attend has nothing to do: nothing has changed since the last time, and the deadline, which is where `limit` ends,
 * has not come. */
static inline bool dr_is_calm(const struct dr_core *core) {
    return core->limit && core->clock.instructions_per_tick && !core->uart.line_count &&
           !atomic_load_explicit(&core->attend, memory_order_relaxed) &&
           !atomic_load_explicit(&core->lines, memory_order_relaxed);
}

/* unit.c */
const char *dr_unit_problem(const struct dr_core *core, const struct dr_unit *unit); /* NULL: it may be installed */
bool dr_unit_is_current(struct dr_core *core, const struct dr_unit *unit); /* whether guest memory is what was translated */
bool dr_unit_suits(struct dr_core *core, const struct dr_unit *unit);      /* whether a kept one is what would be made now */

/* link.c */
bool dr_link(struct dr_core *core, struct dr_link *link, struct dr_block *block); /* false: see `dr_failure`; here and below */
bool dr_invalidate(struct dr_core *core, struct dr_block *block, enum dr_death reason, uint32_t address);
bool dr_invalidate_changed(struct dr_core *core, enum dr_death reason);
bool dr_code_written(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason);
bool dr_discard(struct dr_core *core, uint64_t address, uint64_t size, enum dr_death reason); /* units with bytes there */
bool dr_install_units(struct dr_core *core, const struct dr_unit *const *units, uint32_t count, uint64_t *serials);
bool dr_erase_unit(struct dr_core *core, uint64_t key);
void dr_flush_all(struct dr_core *core);
void dr_make_lock(struct dr_core *core);
void dr_lock_tables(struct dr_core *core);
void dr_unlock_tables(struct dr_core *core);
void dr_jump_cache_add(struct dr_core *core, const struct dr_block *block);

/* fault.c */
const char *dr_faults_install(void);    /* before generated code runs */
void dr_faults_hold(bool hold);         /* nobody installs while a process forks */
const char *dr_faults_thread(void);     /* once a CPU thread: the handler needs a stack of its own */
struct dr_core *dr_faults_expect(struct dr_core *core); /* this thread runs that core from now on; NULL: none. Who was before */
void dr_run_code(struct dr_core *core, const void *entry); /* runs generated code, on a thread that expects its faults */
void dr_interrupt(struct dr_core *core); /* has the CPU thread note where it is (dr_sampled); with `wake_lock` taken */
void dr_kick(struct dr_core *core); /* makes generated code leave at the next head of a unit or loop; with `wake_lock` taken */

/* window_<host>.c */
const char *dr_window_bind(const struct dr_core *core); /* makes the window reachable for generated code on this thread */

/* enter.S */
void dr_enter(uint32_t *state, const void *entry);
extern const char dr_exit[], dr_exit_faulted[];
extern const char dr_entered[], dr_left[]; /* between these, the budget is where generated code has it */

/* What dr_cpu.exit holds. */
static inline const void *dr_exit_for(const struct dr_cpu *cpu, uint32_t harden) {
    return dr_sign(dr_exit, (uint64_t)&cpu->exit, harden);
}

#endif
