#include "record.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core.h"

#define NOWHERE UINT32_MAX
#define FIRST_CENSUS 4096u
#define SETTLE_EVERY 64u
#define NS_PER_US 1000
#define US_PER_SECOND 1000000u
#define NS_PER_SECOND UINT64_C(1000000000)

uint64_t dr_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Of a counter that the CPU thread changes. */
static uint64_t load(const uint64_t *counter) {
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* -- events ----------------------------------------------------------------------------------------------------------- */

void dr_note_event(struct dr_core *core, enum dr_event_kind kind, uint32_t serial, uint32_t other, uint64_t value) {
    struct dr_recorder *recorder = &core->recorder;
    if (!recorder->on)
        return;
    recorder->events[recorder->event_count++ % recorder->event_room] = (struct dr_event){
        .time = dr_nanoseconds(), .instructions = dr_instructions(core), .kind = kind, .serial = serial, .other = other,
        .value = value};
}

uint32_t dr_take_events(struct dr_core *core, uint64_t *first, struct dr_event *events, uint32_t count) {
    const struct dr_recorder *recorder = &core->recorder;
    uint32_t copied = 0;
    dr_lock_tables(core);
    uint64_t last = recorder->event_count, oldest = last > recorder->event_room ? last - recorder->event_room : 0;
    if (*first < oldest)
        *first = oldest;
    for (uint64_t at = *first; at < last && copied < count; at++)
        events[copied++] = recorder->events[at % recorder->event_room];
    dr_unlock_tables(core);
    return copied;
}

/* -- what the interpreter executed ------------------------------------------------------------------------------------ */

static struct dr_tally *find_tally(const struct dr_census *census, uint32_t pc) {
    uint32_t at = (pc * UINT32_C(0x9e3779b1) >> 7) & (census->size - 1);
    while (census->at[at].count && census->at[at].pc != pc)
        at = (at + 1) & (census->size - 1);
    return &census->at[at];
}

static bool enlarge(struct dr_census *census) {
    struct dr_census old = *census;
    uint32_t size = old.size ? 2 * old.size : FIRST_CENSUS;
    struct dr_tally *room = calloc(size, sizeof *room);
    if (!room)
        return false;
    *census = (struct dr_census){room, size, old.used};
    for (uint32_t i = 0; i < old.size; i++)
        if (old.at[i].count)
            *find_tally(census, old.at[i].pc) = old.at[i];
    free(old.at);
    return true;
}

/* A new address is a change of the table, which others must not look at meanwhile. */
static void add_tally(struct dr_core *core, uint32_t pc) {
    struct dr_census *census = &core->recorder.census;
    dr_lock_tables(core);
    if (2 * census->used < census->size || enlarge(census)) {
        *find_tally(census, pc) = (struct dr_tally){.count = 1, .pc = pc};
        census->used++;
    }
    dr_unlock_tables(core);
}

void dr_note_interpreted(struct dr_core *core, uint32_t pc) {
    const struct dr_census *census = &core->recorder.census;
    struct dr_tally *tally = census->size ? find_tally(census, pc) : NULL;
    if (tally && tally->count)
        DR_COUNT(tally->count, 1);
    else
        add_tally(core, pc);
}

uint32_t dr_interpreted_pcs(struct dr_core *core, struct dr_tally *tallies, uint32_t room) {
    const struct dr_census *census = &core->recorder.census;
    uint32_t count = 0;
    dr_lock_tables(core);
    uint32_t used = census->used;
    for (uint32_t i = 0; i < census->size && used <= room; i++) {
        uint64_t times = load(&census->at[i].count);
        if (times)
            tallies[count++] = (struct dr_tally){times, census->at[i].pc};
    }
    dr_unlock_tables(core);
    return used;
}

/* -- units ------------------------------------------------------------------------------------------------------------ */

static uint64_t words_of(const struct dr_block *block) {
    return (uint64_t)block->record->counter_count + 2u * block->exit_count + block->site_count;
}

static uint64_t *put_words(const struct dr_core *core, const struct dr_block *block, uint64_t *to) {
    const struct dr_unit_record *record = block->record;
    const uint64_t *counters = record->final ? record->final : &core->cpu.counters[record->counter_first];
    for (uint32_t i = 0; i < record->counter_count; i++)
        *to++ = load(&counters[i]);
    for (uint32_t i = 0; i < block->exit_count; i++) {
        const struct dr_block *linked = block->exits[i].to;
        *to++ = load(&record->missed[i]);
        *to++ = block->alive && linked && linked->record ? linked->record->serial : 0;
    }
    for (uint32_t i = 0; i < block->site_count; i++)
        *to++ = load(&record->site_faults[i]);
    return to;
}

static struct dr_unit_state state_of(const struct dr_block *block) {
    const struct dr_unit_record *record = block->record;
    return (struct dr_unit_state){
        .serial = record->serial, .alive = block->alive, .start = block->start, .size = block->size,
        .samples = record->samples, .batch = record->batch, .counter_count = record->counter_count,
        .exit_count = block->exit_count, .site_count = block->site_count, .death = record->death};
}

/* The lists of units: first those that were buried, then those of the generations. */
static uint64_t count_units(struct dr_core *core, uint64_t *words) {
    uint64_t count = 0;
    *words = 0;
    for (struct dr_block *block = core->blocks.buried; block; block = block->next, count++)
        *words += words_of(block);
    for (uint32_t i = 0; i < core->blocks.generation_count; i++)
        for (size_t at = 0; at < core->blocks.generations[i].units.count; at++)
            if (core->blocks.generations[i].units.at[at]->record) {
                *words += words_of(core->blocks.generations[i].units.at[at]);
                count++;
            }
    return count;
}

/* Whoever is told of a unit that was buried is told for the last time. */
static void put_units(struct dr_core *core, struct dr_unit_state *units, uint64_t *words) {
    for (const struct dr_block *block = core->blocks.buried; block; block = block->next) {
        *units++ = state_of(block);
        words = put_words(core, block, words);
    }
    dr_blocks_free_buried(&core->blocks);
    for (uint32_t i = 0; i < core->blocks.generation_count; i++)
        for (size_t at = 0; at < core->blocks.generations[i].units.count; at++) {
            const struct dr_block *block = core->blocks.generations[i].units.at[at];
            if (!block->record)
                continue;
            *units++ = state_of(block);
            words = put_words(core, block, words);
        }
}

uint64_t dr_collect_units(struct dr_core *core, struct dr_unit_state *units, uint64_t unit_room, uint64_t *words,
                          uint64_t *word_count) {
    uint64_t word_room = *word_count;
    dr_lock_tables(core);
    dr_settle_samples(core);
    uint64_t count = count_units(core, word_count);
    if (count <= unit_room && *word_count <= word_room)
        put_units(core, units, words);
    dr_unlock_tables(core);
    return count;
}

int dr_generation_info(struct dr_core *core, uint32_t index, struct dr_generation_info *info) {
    dr_lock_tables(core);
    const struct dr_generation *generation = &core->blocks.generations[index % DR_GENERATIONS];
    *info = (struct dr_generation_info){generation->start, generation->end, generation->fill, index == core->blocks.current};
    bool there = index < core->blocks.generation_count;
    dr_unlock_tables(core);
    return there ? 0 : -1;
}

/* -- the sampler ------------------------------------------------------------------------------------------------------ */

void dr_sampled(struct dr_core *core, uint64_t pc) {
    struct dr_recorder *recorder = &core->recorder;
    if (!atomic_exchange(&recorder->sample_due, false))
        return;
    uint64_t offset = pc - (uint64_t)core->code.run;
    unsigned number = atomic_load(&recorder->sampled);
    if (number - atomic_load(&recorder->settled) >= DR_SAMPLES)
        return;
    __atomic_store_n(&recorder->samples[number % DR_SAMPLES],
                     core->in_code && offset < core->code.size ? (uint32_t)offset : NOWHERE, __ATOMIC_RELAXED);
    atomic_store(&recorder->sampled, number + 1);
}

void dr_settle_samples(struct dr_core *core) {
    struct dr_recorder *recorder = &core->recorder;
    unsigned last = atomic_load(&recorder->sampled);
    for (unsigned at = atomic_load(&recorder->settled); at != last; at++) {
        uint32_t offset = __atomic_load_n(&recorder->samples[at % DR_SAMPLES], __ATOMIC_RELAXED);
        struct dr_block *block = offset == NOWHERE ? NULL : dr_blocks_at(&core->blocks, offset);
        if (block && block->record)
            block->record->samples++;
        else
            DR_COUNT(recorder->elsewhere[DR_IN_CORE], 1);
    }
    atomic_store(&recorder->settled, last);
}

/* Taken before `wake_lock`: or else the child of a fork may find that locked by a sampler that it does not have. */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;

void dr_samplers_hold(bool hold) {
    (void)(hold ? pthread_mutex_lock(&forking) : pthread_mutex_unlock(&forking));
}

static void sample(struct dr_core *core) {
    struct dr_recorder *recorder = &core->recorder;
    dr_samplers_hold(true);
    pthread_mutex_lock(&core->wake_lock);
    if (core->in_run)
        dr_interrupt(core);
    else if (atomic_load(&recorder->busy))
        DR_COUNT(recorder->elsewhere[DR_IN_PYTHON], 1);
    pthread_mutex_unlock(&core->wake_lock);
    dr_samplers_hold(false);
}

static void *sample_until_stopped(void *argument) {
    struct dr_core *core = argument;
    uint32_t period = core->recorder.period;
    struct timespec pause = {period / US_PER_SECOND, (long)(period % US_PER_SECOND) * NS_PER_US};
    for (unsigned count = 1; !atomic_load(&core->recorder.sampler_stops); count++) {
        nanosleep(&pause, NULL);
        sample(core);
        if (count % SETTLE_EVERY)
            continue;
        dr_lock_tables(core);
        dr_settle_samples(core);
        dr_unlock_tables(core);
    }
    return NULL;
}

static void stop_sampler(struct dr_core *core) {
    struct dr_recorder *recorder = &core->recorder;
    atomic_store(&recorder->sampler_stops, true);
    if (recorder->sampling && recorder->forks == dr_forks)
        pthread_join(recorder->sampler, NULL);
    recorder->sampling = false;
}

/* Signals are for the threads that were there before. */
static bool start_sampler(struct dr_core *core) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = !pthread_create(&core->recorder.sampler, NULL, sample_until_stopped, core);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

int dr_sample_every(struct dr_core *core, uint32_t microseconds) {
    struct dr_recorder *recorder = &core->recorder;
    dr_failure = NULL;
    stop_sampler(core);
    atomic_store(&recorder->sampler_stops, false);
    recorder->period = microseconds;
    recorder->forks = dr_forks;
    recorder->sampling = microseconds && start_sampler(core);
    if (microseconds && !recorder->sampling)
        dr_failure = "the sampler's thread could not be started";
    return dr_failure ? -1 : 0;
}

void dr_set_busy(struct dr_core *core, int busy) {
    atomic_store(&core->recorder.busy, busy);
}

uint64_t dr_samples_elsewhere(struct dr_core *core, int place) {
    return load(&core->recorder.elsewhere[place]);
}

/* -- on and off ------------------------------------------------------------------------------------------------------- */

int dr_record(struct dr_core *core, uint32_t events) {
    struct dr_recorder *recorder = &core->recorder;
    dr_recorder_free(core);
    dr_lock_tables(core);
    recorder->events = events ? calloc(events, sizeof *recorder->events) : NULL;
    recorder->event_room = recorder->events ? events : 0;
    core->blocks.recording = recorder->on = recorder->events != NULL;
    dr_unlock_tables(core);
    dr_failure = events && !recorder->on ? "no memory for a log of the code cache" : NULL;
    return dr_failure ? -1 : 0;
}

/* The cache is emptied: what is in it was or was not made to be recorded. */
void dr_recorder_free(struct dr_core *core) {
    struct dr_recorder *recorder = &core->recorder;
    stop_sampler(core);
    dr_lock_tables(core);
    recorder->on = core->blocks.recording = false;
    if (core->blocks.table)
        dr_flush_all(core);
    dr_blocks_free_buried(&core->blocks);
    free(recorder->events);
    free(recorder->census.at);
    recorder->events = NULL;
    recorder->event_room = 0;
    recorder->event_count = 0;
    recorder->census = (struct dr_census){NULL, 0, 0};
    memset(recorder->elsewhere, 0, sizeof recorder->elsewhere);
    dr_unlock_tables(core);
}
