/* Traps and interrupts that the guest takes itself, the clock that they follow, and waiting for them.
 *
 * Virtual time is counted in guest instructions, so it is the same in every tier: the run loop runs up to the deadline, raises
 * the lines that belong to it, and delivers what is pending before the next instruction. What other threads want is left in
 * atomic variables, and a signal makes generated code leave, so that the CPU thread looks.
 */
#include <string.h>
#include <time.h>

#include "core.h"

#define NS_PER_SECOND UINT64_C(1000000000)

int dr_set_own_traps(struct dr_core *core, int own) {
    const char *why = core->config.evaluated ? "a machine mode needs an interpreter that is built in: this guest has none"
                                             : "the guest has no machine mode";
    dr_failure = own && !core->guest->take_trap ? why : NULL;
    core->own_traps = own && !dr_failure;
    return dr_failure ? -1 : 0;
}

/* -- time ----------------------------------------------------------------------------------------------------------- */

static uint64_t host_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

void dr_set_clock(struct dr_core *core, uint32_t ticks_per_second, uint32_t instructions_per_tick) {
    core->clock = (struct dr_clock){ticks_per_second, instructions_per_tick, 0, host_time()};
    atomic_store(&core->attend, true);
}

uint64_t dr_virtual_time(const struct dr_core *core) {
    return dr_instructions(core) + __atomic_load_n(&core->clock.skipped, __ATOMIC_RELAXED);
}

uint64_t dr_time(const struct dr_core *core) {
    const struct dr_clock *clock = &core->clock;
    if (clock->instructions_per_tick)
        return dr_virtual_time(core) / clock->instructions_per_tick;
    uint64_t elapsed = host_time() - __atomic_load_n(&clock->epoch, __ATOMIC_RELAXED);
    return elapsed / NS_PER_SECOND * clock->ticks_per_second +
           elapsed % NS_PER_SECOND * clock->ticks_per_second / NS_PER_SECOND;
}

uint64_t dr_elapsed(const struct dr_core *core) {
    return host_time() - core->clock.epoch;
}

void dr_set_elapsed(struct dr_core *core, uint64_t elapsed) {
    __atomic_store_n(&core->clock.epoch, host_time() - elapsed, __ATOMIC_RELAXED);
}

void dr_set_skipped(struct dr_core *core, uint64_t skipped) {
    __atomic_store_n(&core->clock.skipped, skipped, __ATOMIC_RELAXED);
    atomic_store(&core->attend, true);
}

static void skip_to(struct dr_core *core, uint64_t virtual_time) {
    uint64_t now = dr_virtual_time(core);
    if (virtual_time > now)
        DR_COUNT(core->clock.skipped, virtual_time - now);
}

void dr_set_deadline(struct dr_core *core, uint64_t ticks, uint32_t lines) {
    core->deadline = ticks;
    core->deadline_lines = lines;
    atomic_store(&core->attend, true);
}

#define FOR_EVER (UINT64_C(1) << 61) /* instructions; what virtual time can be is far less than twice that */

/* The deadline in virtual time; UINT64_MAX if it is never, or the host's clock tells. */
static uint64_t virtual_deadline(const struct dr_core *core) {
    uint64_t ratio = core->clock.instructions_per_tick;
    return ratio && core->deadline < FOR_EVER / ratio ? core->deadline * ratio : UINT64_MAX;
}

/* -- what other threads want ------------------------------------------------------------------------------------------ */

void dr_make_wakeup(struct dr_core *core) {
    pthread_mutex_init(&core->wake_lock, NULL);
    pthread_mutex_init(&core->mail_lock, NULL);
    pthread_cond_init(&core->wake, NULL);
    pthread_cond_init(&core->answered, NULL);
    dr_make_background(core);
}

/* No run begins while another thread, which holds the lock of the tables, has pages open. */
void dr_enter_run(struct dr_core *core, bool in) {
    dr_lock_tables(core);
    pthread_mutex_lock(&core->wake_lock);
    core->in_run = in;
    core->thread = pthread_self();
    pthread_cond_broadcast(&core->answered);
    pthread_mutex_unlock(&core->wake_lock);
    dr_unlock_tables(core);
}

static bool runs_elsewhere(const struct dr_core *core) {
    return core->in_run && !pthread_equal(core->thread, pthread_self());
}

/* The CPU thread itself looks before the next instruction anyway. */
static void attract(struct dr_core *core) {
    atomic_store(&core->attend, true);
    if (runs_elsewhere(core))
        dr_kick(core);
    core->attracted = true;
    pthread_cond_signal(&core->wake);
}

void dr_attract(struct dr_core *core) {
    pthread_mutex_lock(&core->wake_lock);
    attract(core);
    pthread_mutex_unlock(&core->wake_lock);
}

bool dr_runs_elsewhere(struct dr_core *core) {
    pthread_mutex_lock(&core->wake_lock);
    bool elsewhere = runs_elsewhere(core);
    pthread_mutex_unlock(&core->wake_lock);
    return elsewhere;
}

#define PATIENCE 2 /* seconds: a callback of the machine may be waiting for the very thread that asks */

/* Until `done`, or the run ends, or patience does; the lock is held. */
static void await_answer(struct dr_core *core, const bool *done) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while (!*done && core->in_run && !pthread_cond_timedwait(&core->answered, &core->wake_lock, &until))
        ;
}

enum dr_asked dr_ask(struct dr_core *core, struct dr_ask *ask) {
    bool free = false;
    pthread_mutex_lock(&core->wake_lock);
    if (atomic_load(&core->asked))
        await_answer(core, &free); /* another thread's turn */
    bool mine = core->in_run && !atomic_load(&core->asked);
    if (mine) {
        atomic_store(&core->asked, ask);
        attract(core);
        await_answer(core, &ask->done);
        if (!ask->done)
            atomic_store(&core->asked, NULL);
    }
    enum dr_asked result = ask->done ? DR_ANSWERED : core->in_run && mine ? DR_UNANSWERED : DR_NOT_RUNNING;
    pthread_mutex_unlock(&core->wake_lock);
    return result;
}

void dr_answer(struct dr_core *core) {
    dr_lock_tables(core);
    pthread_mutex_lock(&core->wake_lock);
    struct dr_ask *ask = atomic_load(&core->asked);
    if (ask) {
        bool mapped = dr_memory_check(&core->memory, ask->address, ask->size, 0) < 0;
        ask->error = mapped ? dr_memory_read(&core->memory, ask->address, ask->to, ask->size) : "it is not mapped";
        ask->done = true;
        atomic_store(&core->asked, NULL);
        pthread_cond_broadcast(&core->answered);
    }
    pthread_mutex_unlock(&core->wake_lock);
    dr_unlock_tables(core);
}

void dr_set_lines(struct dr_core *core, uint32_t lines, int up) {
    uint32_t now = atomic_load_explicit(&core->lines, memory_order_relaxed);
    if ((up ? now & lines : ~now & lines) == lines)
        return;
    (void)(up ? atomic_fetch_or(&core->lines, lines) : atomic_fetch_and(&core->lines, ~lines));
    if (up)
        dr_attract(core);
}

uint32_t dr_lines(struct dr_core *core) {
    return atomic_load(&core->lines);
}

/* -- interrupts ------------------------------------------------------------------------------------------------------- */

bool dr_must_attend(struct dr_core *core) {
    uint32_t cause;
    if (atomic_load_explicit(&core->attend, memory_order_relaxed))
        return true;
    return atomic_load_explicit(&core->lines, memory_order_relaxed) && core->guest->pending(core, &cause);
}

/* Brings the devices up to date. */
static void look_around(struct dr_core *core) {
    if (atomic_load_explicit(&core->attend, memory_order_relaxed) || core->uart.line_count) {
        atomic_store(&core->attend, false);
        dr_update_uart(core);
        dr_update_plic(core);
    }
    if (core->deadline != UINT64_MAX && core->deadline <= dr_time(core)) {
        core->deadline = UINT64_MAX;
        dr_set_lines(core, core->deadline_lines, true);
    }
}

void dr_attend(struct dr_core *core) {
    uint32_t cause;
    look_around(core);
    uint64_t total = core->limit + core->beyond, until = virtual_deadline(core);
    uint64_t left = until == UINT64_MAX ? until : until - dr_virtual_time(core);
    core->limit = total < left ? total : left;
    core->beyond = total - core->limit;
    if (atomic_load_explicit(&core->lines, memory_order_relaxed) && core->guest->pending(core, &cause)) {
        dr_delivering(core, DR_CATCH_INTERRUPT, core->cpu.pc, cause, 0);
        core->guest->take_trap(core, cause, 0);
        core->hooks.begins = true;
    }
}

/* -- what steps come to ----------------------------------------------------------------------------------------------- */

/* A request to stop may come from the device that made the instruction trap: it is done again when the guest goes on. A handler
 * whose own first instruction traps would do so for ever, without an instruction retired. */
int dr_trapped(struct dr_core *core) {
    uint32_t pc = core->cpu.pc;
    if (!core->own_traps)
        return DR_STOP_TRAP;
    if (atomic_load_explicit(&core->stop, memory_order_relaxed))
        return -1;
    dr_delivering(core, DR_CATCH_TRAP, pc, core->trap.cause, core->trap.value);
    core->guest->take_trap(core, core->trap.cause, core->trap.value);
    return core->cpu.pc == pc ? DR_STOP_TRAP : -1;
}

int dr_waiting(struct dr_core *core) {
    if (core->own_traps)
        core->waits = core->cpu.pc;
    return -1;
}

bool dr_still_waits(struct dr_core *core) {
    if (core->waits == core->cpu.pc && !core->guest->wakes(core))
        return true;
    core->waits = -1;
    return false;
}

/* -- waiting ---------------------------------------------------------------------------------------------------------- */

#define LONGEST_WAIT NS_PER_SECOND /* then it looks again, in case somebody has set the host's calendar */

/* Until something happens (true), or so many nanoseconds. */
static bool doze(struct dr_core *core, uint64_t nanoseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t end = (uint64_t)until.tv_nsec + (nanoseconds < LONGEST_WAIT ? nanoseconds : LONGEST_WAIT);
    until.tv_sec += (time_t)(end / NS_PER_SECOND);
    until.tv_nsec = (long)(end % NS_PER_SECOND);
    pthread_mutex_lock(&core->wake_lock);
    while (!core->attracted && !pthread_cond_timedwait(&core->wake, &core->wake_lock, &until))
        ;
    bool happened = core->attracted;
    core->attracted = false;
    pthread_mutex_unlock(&core->wake_lock);
    return happened;
}

static bool is_over(struct dr_core *core) {
    look_around(core);
    return atomic_load(&core->stop) || atomic_load(&core->observer.alert) || core->guest->wakes(core);
}

static uint64_t scaled(uint64_t number, uint64_t to, uint64_t from) {
    return number / from * to + number % from * to / from;
}

/* Virtual time passes as the host's does, up to the deadline. */
static void wait_virtually(struct dr_core *core, uint64_t rate) {
    uint64_t start = dr_virtual_time(core), since = host_time();
    while (!is_over(core)) {
        uint64_t passed = scaled(host_time() - since, rate, NS_PER_SECOND), until = virtual_deadline(core);
        if (until != UINT64_MAX && (start + passed >= until || !rate))
            skip_to(core, until);
        else
            (void)doze(core, rate && until != UINT64_MAX ? scaled(until - start - passed, NS_PER_SECOND, rate) : UINT64_MAX);
    }
    uint64_t until = virtual_deadline(core), now = start + scaled(host_time() - since, rate, NS_PER_SECOND);
    skip_to(core, now < until ? now : until);
}

void dr_wait(struct dr_core *core, uint64_t instructions_per_second) {
    if (core->clock.instructions_per_tick) {
        wait_virtually(core, instructions_per_second);
        return;
    }
    while (!is_over(core)) {
        uint64_t now = dr_time(core), left = core->deadline > now ? core->deadline - now : 0;
        (void)doze(core, core->deadline == UINT64_MAX ? UINT64_MAX : scaled(left, NS_PER_SECOND, core->clock.ticks_per_second) + 1);
    }
}

/* -- snapshots -------------------------------------------------------------------------------------------------------- */

void dr_get_moment(const struct dr_core *core, struct dr_moment *moment) {
    *moment = (struct dr_moment){
        .instructions = dr_instructions(core),
        .skipped = core->clock.skipped,
        .elapsed = dr_elapsed(core),
        .deadline = core->deadline,
        .deadline_lines = core->deadline_lines,
        .lines = atomic_load(&core->lines),
        .pc = core->cpu.pc,
        .passed = core->hooks.passed,
        .waits = core->waits,
        .begins = core->hooks.begins,
    };
    memcpy(moment->state, core->cpu.state, sizeof moment->state);
}

void dr_settle_devices(struct dr_core *core) {
    dr_flush_uart(core);
    dr_update_plic(core);
}

void dr_resume_devices(struct dr_core *core) {
    atomic_store(&core->sources, core->plic.levels);
    core->uart_ended = false;
    atomic_store(&core->attend, true);
}

void dr_set_moment(struct dr_core *core, const struct dr_moment *moment) {
    __atomic_store_n(&core->rewound, core->stats.instructions - moment->instructions, __ATOMIC_RELAXED);
    __atomic_store_n(&core->clock.skipped, moment->skipped, __ATOMIC_RELAXED);
    dr_set_elapsed(core, moment->elapsed);
    atomic_store(&core->lines, moment->lines);
    dr_set_deadline(core, moment->deadline, moment->deadline_lines);
    core->cpu.pc = moment->pc;
    core->waits = moment->waits;
    core->hooks.passed = moment->passed;
    core->hooks.begins = moment->begins;
    core->hooks.left = moment->pc;
    core->hooks.resumes = false;
    memcpy(core->cpu.state, moment->state, sizeof moment->state);
}
