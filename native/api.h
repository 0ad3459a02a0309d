/* What Python may call. cffi reads this file (build.py), so it holds plain declarations only. */
#ifndef DR_API_H
#define DR_API_H

#include "abi.h"

struct dr_core;

/* Why dr_run returned. */
enum dr_stop {
    DR_STOP_BUDGET,    /* the limit of instructions is reached */
    DR_STOP_REQUEST,   /* dr_request_stop was called */
    DR_STOP_TRANSLATE, /* the block at pc has no translation and should get one */
    DR_STOP_TRAP,      /* the instruction at pc trapped: see dr_trap_info */
    DR_STOP_STORED,    /* the guest stored to watched memory: see dr_trap_info */
    DR_STOP_UNTIL,     /* pc is the key given to dr_set_until */
    DR_STOP_ERROR,     /* see dr_error */
    DR_STOP_WAIT,      /* the guest waits for an interrupt; pc is behind the instruction that says so */
    DR_STOP_OFF,       /* the guest has switched the machine off: see dr_off_status */
    DR_STOP_HOOK,      /* the instruction at pc, or an access that it makes, is hooked: see dr_hit_info; it has not happened */
    DR_STOP_CAUGHT,    /* what dr_set_catches asked for has happened: see dr_take_caught */
    DR_STOP_INPUT,     /* there is input that the guest has not been given: see dr_hold_input */
    DR_STOP_READY,     /* dr_announce was called */
};

/* What one step of an interpreter came to. */
enum dr_status {
    DR_STEPPED, /* the next instruction follows */
    DR_JUMPED,  /* control went elsewhere */
    DR_FELL,    /* the next instruction follows, for a branch was not taken */
    DR_SYNC,    /* the guest says that it changed code */
    DR_WAITING, /* the next instruction follows, once there is an interrupt */
    DR_TRAPPED, /* see `trap`; nothing of the instruction has happened */
    DR_HELD,    /* neither, for an access of it is hooked */
};

/* What a run is to stop behind, as bits. */
enum dr_catch {
    DR_CATCH_TRAP = 1,      /* the guest's own handler is about to run, for an instruction that trapped */
    DR_CATCH_INTERRUPT = 2, /* or for an interrupt */
    DR_CATCH_DEATH = 4,     /* a unit died, and not because a hook came or went */
};

/* Where instructions leave a trail: the pc of each, and a word of the guest's state, before it is executed. */
struct dr_trail {
    uint32_t *pcs, *words, *times; /* NULL: nowhere; times: dr_instructions, the lower half */
    uint32_t word;                 /* its index */
    uint32_t room, count;          /* the first `room` instructions are in the trail */
};

/* What a run has stopped behind. */
struct dr_caught {
    uint32_t what;         /* an enum dr_catch; 0: nothing */
    uint32_t pc;           /* of the instruction that trapped, or that comes after the interrupt; the key of the unit */
    uint32_t cause, value; /* as the guest numbers them; of a unit, enum dr_death and the address that was written */
};

/* What a range of guest addresses is hooked for. */
enum dr_hook {
    DR_HOOK_CODE,   /* instructions that begin there */
    DR_HOOK_BLOCK,  /* basic blocks that begin there: control comes from elsewhere, or from behind a branch */
    DR_HOOK_READ,   /* accesses by the guest that overlap it, and that it may make: before them */
    DR_HOOK_WRITE,
    DR_HOOK_STORED, /* behind a write: DR_STOP_STORED */
    DR_HOOKS,
};

/* What a run stopped for. */
struct dr_hit {
    uint32_t kinds; /* bits by enum dr_hook: code and block together, or one that is an access */
    uint32_t pc;
    uint32_t address, size, value; /* of an access; the value of a write */
};

/* What conditions of hooks consist of. Words are taken from a stack, and one is pushed. */
enum dr_op {
    DR_OP_NUMBER,   /* `number` */
    DR_OP_REGISTER, /* the word `number` of the guest's state */
    DR_OP_PC,
    DR_OP_ADDRESS, DR_OP_SIZE, /* of the access */
    DR_OP_VALUE,    /* what it writes; or what memory holds that it reads */
    DR_OP_CHANGES,  /* whether it makes the bytes of the hook that it reaches other ones: 0 or 1 */
    DR_OP_LOAD8, DR_OP_LOAD16, DR_OP_LOAD32, /* memory at an address, zero-extended */
    DR_OP_SEXT8, DR_OP_SEXT16, DR_OP_ZEXT8, DR_OP_ZEXT16, /* these and the following: as in the IR */
    DR_OP_ADD, DR_OP_SUB, DR_OP_MUL, DR_OP_DIVU, DR_OP_DIVS, DR_OP_REMU, DR_OP_REMS,
    DR_OP_AND, DR_OP_OR, DR_OP_XOR, DR_OP_SHL, DR_OP_SHR, DR_OP_SAR,
    DR_OP_EQ, DR_OP_NE, DR_OP_LTU, DR_OP_GEU, DR_OP_LTS, DR_OP_GES,
    DR_OP_SKIP,         /* goes on behind the next `number` instructions, and pushes nothing */
    DR_OP_SKIP_IF_ZERO, /* likewise, if the word that it takes is 0 */
    DR_OPS,
};

#define DR_CONDITION_SIZE 128
#define DR_CONDITION_STACK 16

struct dr_insn {
    uint32_t op; /* enum dr_op */
    uint32_t number;
};

/* A program that leaves one word: 0 when a hook is to be passed without a stop (conditions.h). */
struct dr_condition {
    uint32_t count;
    struct dr_insn insns[DR_CONDITION_SIZE];
};

/* Why a unit died. */
enum dr_death {
    DR_DEATH_STORE,      /* the guest stored to bytes that it was made from */
    DR_DEATH_FENCE,      /* the guest said that it changed code, and it had */
    DR_DEATH_HOST_WRITE, /* such bytes, or their permissions, were changed from outside */
    DR_DEATH_FLUSH,      /* the whole cache was emptied, or the unit was made anew */
    DR_DEATH_EVICTED,    /* its generation made room */
    DR_DEATH_BREAKPOINT, /* a run is to stop inside of it */
    DR_DEATH_HOOK,
    DR_DEATH_DEVICE,     /* an access in it keeps reaching a device, or no longer does: it is translated in another way */
    DR_DEATHS,
};

struct dr_death_record {
    uint64_t key;
    uint64_t instructions; /* retired when it died */
    uint32_t reason;       /* enum dr_death */
    uint32_t address;      /* that was written, if it was that */
    uint32_t pc;           /* of the instruction that was being interpreted, or was last */
    uint32_t serial;       /* units are numbered from 1 in the order in which they are installed */
};

/* What happens to the cache: see struct dr_event. */
enum dr_event_kind {
    DR_EVENT_INSTALL, /* serial; other: the batch; value: bytes of code */
    DR_EVENT_DEATH,   /* serial; other: enum dr_death; value: the address */
    DR_EVENT_LINK,    /* from serial; to other; value: number of the exit */
    DR_EVENT_UNLINK,
    DR_EVENT_EVICT,   /* other: the generation; value: bytes in it */
    DR_EVENT_FLUSH,   /* value: units that died */
    DR_EVENT_BATCH,   /* other: patches in it; value: nanoseconds that it took */
    DR_EVENT_MIXED,   /* value: address of a page that is code and data alike */
    DR_EVENTS,
};

struct dr_event {
    uint64_t time;         /* nanoseconds of the host's clock */
    uint64_t instructions; /* that the guest counts */
    uint64_t value;
    uint32_t kind;         /* enum dr_event_kind */
    uint32_t serial, other;
};

/* How often the interpreter has executed an instruction. */
struct dr_tally {
    uint64_t count;
    uint32_t pc;
};

/* What is counted of an instruction while it is interpreted. */
enum dr_profile_kind { DR_PROFILE_NONE, DR_PROFILE_BRANCH, DR_PROFILE_JUMP };

/* taken, fell: how often a branch went either way, up to 65,535. target: where a jump to a value mostly goes; taken: how often it
 * went there, less four for each time elsewhere, up to 255. */
struct dr_profile {
    uint32_t kind; /* enum dr_profile_kind; none: it is something else, or has not been executed */
    uint32_t taken, fell;
    uint32_t target;
};

/* A unit that is recorded, and how many words there are about it: its counters; for each exit, how often the run loop was asked
 * where it leads, and the serial of the unit that it is linked to, or 0; for each site, how often it faulted. */
struct dr_unit_state {
    uint32_t serial, alive;
    uint32_t start, size;   /* of its code in the region */
    uint32_t counter_count, exit_count, site_count;
    uint32_t samples;       /* how often the sampler found the CPU thread in it */
    uint64_t batch;         /* that wrote it */
    struct dr_death_record death;
};

struct dr_generation_info {
    uint32_t start, end, fill; /* offsets in the region */
    uint32_t current;
};

/* Where the CPU thread may be beside units. */
enum dr_place { DR_IN_CORE, DR_IN_PYTHON, DR_PLACES };

/* The guest's registers and time. */
struct dr_moment {
    uint64_t instructions;    /* that the guest counts */
    uint64_t skipped;         /* by which virtual time is ahead of them */
    uint64_t elapsed;         /* nanoseconds of the host's clock since tick 0 */
    uint64_t deadline;        /* in ticks: when `deadline_lines` go up; UINT64_MAX: never */
    uint32_t deadline_lines;
    uint32_t lines;           /* the interrupt lines that are up */
    uint32_t pc;
    int64_t passed;           /* pc of an instruction whose hooks have been called, and that is not retired yet; -1: none */
    int64_t waits;            /* pc behind an instruction that waits for an interrupt; -1: none */
    uint32_t begins;          /* whether a basic block begins at pc */
    uint32_t state[DR_STATE_WORDS];
};

/* Guest pages with equal permissions, one after the other. */
struct dr_run {
    uint32_t first; /* number of the first page */
    uint32_t count;
    uint32_t access; /* enum dr_access bits; devices are in no run */
};

/* Guest memory at one moment: shares what did not change with others; immutable. */
struct dr_pages;

enum dr_tier { DR_TIER_AUTO, DR_TIER_JIT, DR_TIER_INTERP };

/* Permissions of guest pages. DR_OWNED: none, and yet the page is somebody's, and its bytes come back with permissions. */
enum dr_access { DR_READ = 1, DR_WRITE = 2, DR_EXECUTE = 4, DR_DEVICE = 8, DR_OWNED = 32 };

/* Whether "auto" may take a policy; and whether it is worth a word if that does not work, or a matter of the hardware. */
enum dr_choice { DR_BY_NAME, DR_IF_THERE, DR_EXPECTED };

struct dr_config {
    const char *guest;      /* name of the generated interpreter, or NULL */
    const char *policy;     /* W^X policy, or "auto" */
    size_t cache_size;      /* bytes of the code region */
    int tier;               /* enum dr_tier */
    uint32_t hot;           /* executions of a block in the interpreter before it is translated */
    uint32_t jump_shift;    /* log2 of the guest's code alignment */
    uint32_t cause_fetch, cause_read, cause_write; /* the guest's causes of failing accesses */
    const uint8_t *homes;   /* DR_MAX_HOMES state words */
    uint32_t harden;        /* enum dr_harden bits */
    uint32_t host_page;     /* 0, or what host pages are taken to be, no smaller than they are: for tests */
    int by_byte;            /* all memory is code and data alike (small guests) */
    int evaluated;          /* no interpreter was generated for the guest: a function of Python executes its instructions */
};

/* One exit of a unit. */
struct dr_exit {
    uint32_t kind;   /* enum dr_exit_kind */
    uint32_t ret;    /* offset in the unit of what lies behind the call of the exit stub: where it was left */
    uint32_t link;   /* offset of what linking changes, in front of the call; 0 when it cannot be linked */
    uint32_t target; /* guest pc */
    uint32_t refund; /* guest instructions charged that have not been executed; unless it can be linked, nobody gave them back */
    uint32_t inside; /* whether the target lies in the middle of a basic block: the unit was long enough */
};

/* A host address that may fault, and the guest instruction there. */
struct dr_site {
    uint32_t offset; /* start of the host code of the access; sites are in ascending order */
    uint32_t pc;     /* guest pc of the instruction */
    uint32_t refund; /* as in dr_exit */
};

/* Guest bytes a unit was made from. */
struct dr_range {
    uint32_t address;
    uint32_t size;
};

/* A home register that holds another state word than usual while a unit runs. */
struct dr_loan {
    uint32_t home;
    uint32_t word;
};

/* Where a deferred write finds its value. */
enum dr_source {
    DR_FROM_NOTHING,
    DR_FROM_REGISTER, /* a home register, or behind those one in which units compute: DR_HOST_REGISTERS */
    DR_FROM_WORD,     /* of dr_cpu.state */
};

/* A word of the state that units do not hold up to date while nobody looks. When an access of the sites `first` to `last` faults,
 * it is `plus` and the content of what `number` names. */
struct dr_recovery {
    uint32_t plus;
    uint16_t first, last;
    uint8_t word, source, number; /* source: enum dr_source */
};

/* A unit to install. */
struct dr_unit {
    uint64_t key;
    const uint8_t *code;
    uint32_t code_size;
    uint32_t insns; /* guest instructions charged at the start, and for each round */
    uint32_t body;  /* offset behind that charge */
    const struct dr_exit *exits;
    uint32_t exit_count;
    const struct dr_site *sites;
    uint32_t site_count;
    const struct dr_range *ranges;
    uint32_t range_count;
    const uint8_t *source; /* the bytes of the ranges, one after the other, as they were translated */
    uint32_t source_size;
    const struct dr_loan *loans;
    uint32_t loan_count;
    const struct dr_recovery *recoveries;
    uint32_t recovery_count;
    int checked; /* it compares the bytes that it was made from with guest memory, whenever it is entered */
    const uint32_t *counts; /* offsets of what is changed for its counters to be its own (dr_move_count) */
    uint32_t count_count;
    uint32_t counter_count; /* that it has */
    uint64_t epoch;         /* dr_epoch when its translation began */
    int kept;               /* it is of an earlier run: whether it is what would be made now has to be found out */
};

struct dr_trap {
    uint32_t cause;
    uint32_t value;  /* the guest's tval, or the address of a store to watched memory */
    uint32_t pc;
    uint32_t length; /* bytes of the instruction, or of the store */
};

struct dr_stats {
    uint64_t instructions; /* guest instructions retired, ever */
    uint64_t interpreted;  /* of these, by the interpreter */
    uint64_t blocks;       /* units in the cache */
    uint64_t installed;    /* units ever installed */
    uint64_t discarded;    /* units that died */
    uint64_t deaths[8];    /* of these, by enum dr_death */
    uint64_t flushes;      /* times the whole cache was emptied */
    uint64_t evictions;    /* generations that were emptied to make room */
    uint64_t code_dead;    /* bytes in generations that are in use, of units that died */
    uint64_t mixed_pages;  /* guest pages that are code and data alike */
    uint64_t code_bytes;   /* bytes in use */
    uint64_t links;        /* exits linked */
    uint64_t unlinks;
    uint64_t faults;       /* host faults taken in generated code */
    uint64_t device_reads; /* the guest's accesses to devices */
    uint64_t device_writes;
    uint64_t device_sites; /* instructions that are left to the interpreter because they keep reaching devices */
    uint64_t exits[4];     /* exits taken to the dispatcher, by enum dr_exit_kind */
    uint64_t toggles;      /* times the region was opened for writing */
    uint64_t lookups;      /* times the run loop looked for a unit */
    uint64_t misses;       /* of these, there was none */
};

/* The core-local interruptor: software interrupt, time and its alarm (SiFive U54 manual, chapter 9). */
struct dr_clint {
    uint64_t compare;
    uint32_t pending;
};

/* The platform-level interrupt controller (RISC-V PLIC 1.0.0) with one context. Bit n is source n; there is no source 0. */
struct dr_plic {
    uint32_t levels, pending, claimed, enabled, threshold;
    uint8_t priority[32];
};

/* A 16550A serial port (National Semiconductor PC16550D). What is sent is sent at once; the baud rate means nothing. */
struct dr_uart {
    uint8_t registers[8];
    uint8_t divisor[2];
    uint8_t fifo_on;
    uint8_t sent;                                  /* the interrupt for an empty transmitter is due */
    uint8_t received[16], received_first, received_count;
    uint8_t backlog[256];                          /* input that the port has no room for yet */
    uint32_t backlog_first, backlog_count;
    uint8_t line[256];                             /* output that has not been handed on */
    uint32_t line_count;
    uint64_t line_since;                           /* virtual time of its first byte */
    uint8_t looked;                                /* the guest has asked for the status since it sent something */
};

int dr_abi_version(void);
int dr_layout(const char *name); /* byte offset of a field of dr_cpu from its `state`, INT32_MIN for an unknown name */
const char *dr_host(void);       /* "x86_64" or "arm64" */
int dr_has_interpreter(const char *guest);
const char *dr_policy_name(unsigned index); /* NULL behind the last one */
int dr_policy_choice(unsigned index);      /* enum dr_choice */
const char *dr_policy_probe(const char *name); /* NULL if it works here, else why not */
int64_t dr_policy_cost(const char *name, uint32_t batches); /* nanoseconds for a batch with one small unit; -1: none */

/* Whether code of either host may be installed. -1: yes; else the offset of the instruction to blame, and why. */
int64_t dr_verify(const char *host, const uint8_t *code, uint32_t size, const uint32_t *links, uint32_t link_count,
                  uint32_t harden, const char **reason);

struct dr_core *dr_create(const struct dr_config *config); /* NULL: see dr_error */
void dr_destroy(struct dr_core *core);
const char *dr_error(void); /* what went wrong last, on the calling thread */
const char *dr_policy(const struct dr_core *core);
struct dr_cpu *dr_cpu(struct dr_core *core);

int dr_map(struct dr_core *core, uint32_t address, uint64_t size, int access); /* 0, or -1 and dr_error */
int dr_unmap(struct dr_core *core, uint32_t address, uint64_t size);
int dr_protect(struct dr_core *core, uint32_t address, uint64_t size, int access);
int dr_page_access(struct dr_core *core, uint32_t address);
int64_t dr_check(struct dr_core *core, uint32_t address, uint64_t size, int access); /* first address that lacks it, -1: none */
int dr_read(struct dr_core *core, uint32_t address, void *to, uint64_t size);
int dr_write(struct dr_core *core, uint32_t address, const void *from, uint64_t size);

/* Devices. Those of Python are called through their handle; see device.h. */
int dr_add_clint(struct dr_core *core, uint32_t address, uint32_t software, uint32_t timer); /* bits of interrupt lines */
int dr_add_plic(struct dr_core *core, uint32_t address, uint32_t external);
int dr_add_uart(struct dr_core *core, uint32_t address, uint32_t source); /* number at the PLIC; 0: none */
int dr_add_finisher(struct dr_core *core, uint32_t address);
int dr_device_range(const struct dr_core *core, uint32_t index, struct dr_range *where); /* 0; -1: there are not so many */
int dr_read_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value); /* as the guest: 0, or -1: refused */
int dr_write_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);
int dr_peek_device(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value); /* 0; or -1: cannot be shown */
void dr_set_source(struct dr_core *core, uint32_t number, int up); /* a line into the PLIC; any thread */
uint32_t dr_feed_uart(struct dr_core *core, const uint8_t *data, uint32_t count); /* input; how much there is room for; any thread */
enum { DR_MAIL = 256 }; /* bytes of the port's mailbox */
enum { DR_HOLD_QUIETLY = 2 };
/* Input waits until it is fetched: dr_run returns DR_STOP_INPUT whenever the port would take it, or after dr_notify;
 * if it is held quietly (DR_HOLD_QUIETLY), only then. */
void dr_hold_input(struct dr_core *core, int hold);
void dr_notify(struct dr_core *core);                       /* any thread */
uint32_t dr_fetch_input(struct dr_core *core, uint8_t *to); /* what has come, up to DR_MAIL bytes */
void dr_give_input(struct dr_core *core, const uint8_t *data, uint32_t count); /* to the port, which has room for DR_MAIL bytes */
int dr_uart_hears(const struct dr_core *core); /* whether input raises an interrupt, or could not */
void dr_flush_uart(struct dr_core *core);      /* hands on what the guest has sent */
void dr_settle_devices(struct dr_core *core);  /* before their states are read: output and lines are where they belong */
void dr_resume_devices(struct dr_core *core);  /* after their states were written */
struct dr_clint *dr_get_clint(struct dr_core *core);
struct dr_plic *dr_get_plic(struct dr_core *core);
struct dr_uart *dr_get_uart(struct dr_core *core);
uint32_t dr_off_status(const struct dr_core *core);
int dr_leave_alone(struct dr_core *core, uint32_t pc); /* as if its accesses had reached devices: 0, or -1 and dr_error */
uint64_t dr_slow_sites(struct dr_core *core, uint32_t *pcs, uint32_t *count); /* at most *count; how often they have changed */

/* For a function of Python that executes the instruction at pc, of a guest that nothing was generated for (evaluated.c). 1, or 0: it
 * cannot be fetched, or the access fails or is held. dr_step_fail: what the step comes to then, an enum dr_status. */
int dr_step_fetch(struct dr_core *core, uint32_t pc, uint32_t size, uint32_t *word);
int dr_step_load(struct dr_core *core, uint32_t address, uint32_t size, int writes, uint32_t *value); /* writes: too, later */
int dr_step_store(struct dr_core *core, uint32_t address, uint32_t size, uint32_t value);
int dr_step_fail(struct dr_core *core, uint32_t cause, uint32_t value, uint32_t length);

int dr_bind_thread(struct dr_core *core); /* the calling thread is the CPU thread from now on */
/* Installs units in one batch: 0 and their serials, or -1 and dr_error. A serial of 0: the unit's guest bytes have changed
 * since they were translated, or the epoch has, or it is kept and would be made in another way now; and nothing happens. */
int dr_install(struct dr_core *core, const struct dr_unit *const *units, uint32_t count, uint64_t *serials);
int dr_flush(struct dr_core *core);

/* Background translation (background.h). Hot blocks are asked for, and dr_run goes on; off: DR_STOP_TRANSLATE. */
void dr_set_background(struct dr_core *core, int on);
int64_t dr_await_wanted(struct dr_core *core); /* the next block that is asked for; -1: there will be none */
uint32_t dr_wanted(struct dr_core *core);      /* how many are asked for */
void dr_end_wanted(struct dr_core *core);      /* makes dr_await_wanted return -1; any thread */
void dr_announce(struct dr_core *core);        /* makes dr_run return with DR_STOP_READY soon; any thread */
/* Waits while the CPU thread of a machine that runs is outside of dr_run, at most so long: it wants to run Python. */
void dr_give_way(struct dr_core *core, uint32_t microseconds);
uint64_t dr_epoch(struct dr_core *core);       /* any thread */
uint64_t dr_nanoseconds_out(const struct dr_core *core); /* since dr_run returned last */

int dr_erase(struct dr_core *core, uint64_t key); /* its unit dies, if there is one; 0, or -1 and dr_error */

/* Recording, on the CPU thread: with a log of so many events, 0: none any more. Empties the cache. 0, or -1 and dr_error. */
int dr_record(struct dr_core *core, uint32_t events);
/* Looks where the CPU thread is, every so many microseconds; 0: no more. While recording; 0, or -1 and dr_error. */
int dr_sample_every(struct dr_core *core, uint32_t microseconds);
void dr_set_busy(struct dr_core *core, int busy); /* whether the machine runs, be it in Python */
uint64_t dr_samples_elsewhere(struct dr_core *core, int place); /* enum dr_place */
/* What was recorded; any thread. Events from number *first on, which is raised if they are gone: how many. */
uint32_t dr_take_events(struct dr_core *core, uint64_t *first, struct dr_event *events, uint32_t count);
/* The units, and their words, one after the other: how many. Unless there is room for all, nothing is told but how many there are.
 * Those that have left the cache are told once. */
uint64_t dr_collect_units(struct dr_core *core, struct dr_unit_state *units, uint64_t unit_room, uint64_t *words,
                          uint64_t *word_count);
uint32_t dr_interpreted_pcs(struct dr_core *core, struct dr_tally *tallies, uint32_t room); /* likewise */
int dr_generation_info(struct dr_core *core, uint32_t index, struct dr_generation_info *info); /* -1: there are not so many */

/* Hooks of [start, end), by enum dr_hook, on the CPU thread. Units that were made without them die (enum dr_death). condition: it
 * is copied; NULL: none. Where every hook has one and none holds, the guest goes on. */
int dr_hook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason, const struct dr_condition *condition);
/* One that was added, with an equal condition. */
int dr_unhook(struct dr_core *core, int kind, uint64_t start, uint64_t end, int reason, const struct dr_condition *condition);
/* Of such a hook, at what the run stopped for. */
int dr_holds(struct dr_core *core, uint64_t start, uint64_t end, const struct dr_condition *condition);
void dr_hit_info(const struct dr_core *core, struct dr_hit *hit);
int dr_is_hooked(struct dr_core *core, uint32_t pc, int begins); /* code there, or the basic block that begins there */
int dr_set_until(struct dr_core *core, int64_t key); /* dr_run stops before that pc; -1: none */
void dr_set_catches(struct dr_core *core, uint32_t catches); /* enum dr_catch bits */
void dr_take_caught(struct dr_core *core, struct dr_caught *caught);
/* While pc is in [start, start + size), dr_run interprets one instruction after the other; it stops outside (DR_STOP_UNTIL). A size
 * of 0 ends that. */
void dr_stay(struct dr_core *core, uint32_t start, uint32_t size);
void dr_look(struct dr_core *core, int look); /* dr_run(core, 0) stops for hooks of the instruction at pc */
/* From now on dr_run interprets, and each instruction leaves a trail; NULL: no more. */
void dr_leave_trail(struct dr_core *core, const struct dr_trail *trail);
uint32_t dr_trail_count(const struct dr_core *core);
void dr_pass(struct dr_core *core, int accesses); /* hooks of the instruction at pc have been called; and those of its accesses */
uint64_t dr_delivered(const struct dr_core *core); /* traps and interrupts that the guest has taken itself */
void dr_set_delivered(struct dr_core *core, uint64_t count);
int dr_set_homes(struct dr_core *core, const uint8_t *homes); /* other state words for the home registers; empties the cache */
int dr_run(struct dr_core *core, uint64_t limit);
void dr_request_stop(struct dr_core *core);
void dr_clear_stop(struct dr_core *core);
/* What the interpreter has seen of the instruction at pc since its bytes are what they are; any thread. */
void dr_profile(struct dr_core *core, uint32_t pc, struct dr_profile *profile);
int dr_set_own_traps(struct dr_core *core, int own); /* traps and interrupts go to the guest's handlers, not to dr_run's caller */
void dr_set_lines(struct dr_core *core, uint32_t lines, int up); /* interrupt lines; any thread */
uint32_t dr_lines(struct dr_core *core);
void dr_set_clock(struct dr_core *core, uint32_t ticks_per_second, uint32_t instructions_per_tick); /* 0: the host's clock */
uint64_t dr_time(const struct dr_core *core);         /* in ticks */
uint64_t dr_virtual_time(const struct dr_core *core); /* instructions retired, and skipped */
uint64_t dr_elapsed(const struct dr_core *core); /* nanoseconds of the host's clock since tick 0 */
void dr_set_elapsed(struct dr_core *core, uint64_t elapsed);
void dr_set_skipped(struct dr_core *core, uint64_t skipped); /* by how much virtual time is ahead of instructions */
void dr_set_deadline(struct dr_core *core, uint64_t ticks, uint32_t lines); /* these go up then; UINT64_MAX: never */
/* Waits until something happens that the guest waits for, or a stop is requested. Virtual time skips ahead to the deadline; if
 * somebody may type meanwhile, as fast as time passes in the host: so many instructions a second. */
void dr_wait(struct dr_core *core, uint64_t instructions_per_second);
void dr_trap_info(const struct dr_core *core, struct dr_trap *trap);
void dr_get_stats(struct dr_core *core, struct dr_stats *stats);
uint64_t dr_interpreted(const struct dr_core *core); /* instructions of the guest by the interpreter, ever */
uint64_t dr_instructions(const struct dr_core *core); /* that the guest counts: a restore sets them back */
uint32_t dr_deaths(struct dr_core *core, uint64_t first, struct dr_death_record *records, uint32_t count); /* how many */
int dr_is_mixed(const struct dr_core *core, uint32_t address, uint64_t size);
void dr_get_moment(const struct dr_core *core, struct dr_moment *moment);
void dr_set_moment(struct dr_core *core, const struct dr_moment *moment);
struct dr_pages *dr_save_pages(struct dr_core *core); /* NULL: see dr_error */
int dr_check_pages(struct dr_core *core, const struct dr_pages *pages); /* 0, or -1 and dr_error: they do not fit this core */
int dr_restore_pages(struct dr_core *core, const struct dr_pages *pages);
struct dr_pages *dr_make_pages(const struct dr_run *runs, uint32_t count); /* zeros; NULL: see dr_error */
int dr_put_page(struct dr_pages *pages, uint32_t page, const void *bytes); /* into one that was just made */
void dr_free_pages(struct dr_pages *pages);
uint32_t dr_list_pages(const struct dr_pages *pages, uint32_t *numbers, uint32_t room); /* those not zero; how many there are */
uint32_t dr_count_different(const struct dr_pages *a, const struct dr_pages *b); /* pages that they do not share */
const void *dr_page_bytes(const struct dr_pages *pages, uint32_t page); /* NULL: zeros */
const struct dr_run *dr_page_runs(const struct dr_pages *pages, uint32_t *count);
int64_t dr_find(struct dr_core *core, uint64_t key); /* offset of a unit's code in the region, -1: none */
int dr_read_code(struct dr_core *core, uint64_t offset, void *to, uint64_t size);

/* gdb_jit.c. Registers a copy of an ELF file that describes generated code; any thread. NULL: no memory. */
void *dr_gdb_register(const uint8_t *file, uint64_t size);
void dr_gdb_unregister(void *registered);
uint64_t dr_entry_address(void); /* in dr_enter: where generated code would return to, if it did */

uint64_t dr_run_address(const struct dr_core *core); /* where offset 0 of the region is executed; 0: there is none */

#endif
