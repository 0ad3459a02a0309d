#include "background.h"

#include <string.h>
#include <time.h>

#include "core.h"

#define NS_PER_US 1000u
#define NS_PER_SECOND UINT64_C(1000000000)

void dr_make_background(struct dr_core *core) {
    struct dr_background *background = &core->background;
    pthread_mutex_init(&background->lock, NULL);
    pthread_cond_init(&background->asked, NULL);
    background->count = 0;
    background->ended = false;
    atomic_store(&background->ready, false);
}

void dr_set_background(struct dr_core *core, int on) {
    atomic_store(&core->background.on, on);
}

static struct dr_wanted *find(struct dr_background *background, uint32_t pc) {
    for (uint32_t i = 0; i < background->count; i++)
        if (background->wanted[i].pc == pc)
            return &background->wanted[i];
    return NULL;
}

static void add(struct dr_background *background, uint32_t pc) {
    background->wanted[background->count++] = (struct dr_wanted){pc, 1};
    pthread_cond_signal(&background->asked);
}

/* Without room, nothing is asked for: it becomes hot once more. */
bool dr_want(struct dr_core *core, uint32_t pc) {
    struct dr_background *background = &core->background;
    if (!atomic_load_explicit(&background->on, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&background->lock);
    struct dr_wanted *wanted = find(background, pc);
    if (wanted)
        wanted->times++;
    else if (background->count < DR_WANTED)
        add(background, pc);
    pthread_mutex_unlock(&background->lock);
    return true;
}

/* What has become hot most often while it waited; of several, the first. */
static uint32_t take_hottest(struct dr_background *background) {
    uint32_t hottest = 0;
    for (uint32_t i = 1; i < background->count; i++)
        if (background->wanted[i].times > background->wanted[hottest].times)
            hottest = i;
    uint32_t pc = background->wanted[hottest].pc;
    background->count--;
    memmove(&background->wanted[hottest], &background->wanted[hottest + 1],
            (background->count - hottest) * sizeof *background->wanted);
    return pc;
}

int64_t dr_await_wanted(struct dr_core *core) {
    struct dr_background *background = &core->background;
    pthread_mutex_lock(&background->lock);
    while (!background->count && !background->ended)
        pthread_cond_wait(&background->asked, &background->lock);
    int64_t pc = background->ended ? -1 : (int64_t)take_hottest(background);
    pthread_mutex_unlock(&background->lock);
    return pc;
}

uint32_t dr_wanted(struct dr_core *core) {
    pthread_mutex_lock(&core->background.lock);
    uint32_t count = core->background.count;
    pthread_mutex_unlock(&core->background.lock);
    return count;
}

void dr_end_wanted(struct dr_core *core) {
    pthread_mutex_lock(&core->background.lock);
    core->background.ended = true;
    pthread_cond_broadcast(&core->background.asked);
    pthread_mutex_unlock(&core->background.lock);
}

void dr_announce(struct dr_core *core) {
    atomic_store(&core->background.ready, true);
    dr_attract(core);
}

/* Whether the CPU thread runs Python, or is about to. */
static bool is_out(struct dr_core *core) {
    const struct dr_background *background = &core->background;
    return atomic_load(&core->recorder.busy) &&
           (!core->in_run || atomic_load(&background->ready) || atomic_load(&background->calling));
}

void dr_calls_python(struct dr_core *core, bool calls) {
    atomic_store(&core->background.calling, calls);
}

void dr_give_way(struct dr_core *core, uint32_t microseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    uint64_t end = (uint64_t)until.tv_nsec + (uint64_t)microseconds * NS_PER_US;
    until.tv_sec += (time_t)(end / NS_PER_SECOND);
    until.tv_nsec = (long)(end % NS_PER_SECOND);
    pthread_mutex_lock(&core->wake_lock);
    while (is_out(core) && !pthread_cond_timedwait(&core->answered, &core->wake_lock, &until))
        ;
    pthread_mutex_unlock(&core->wake_lock);
}

uint64_t dr_epoch(struct dr_core *core) {
    return atomic_load(&core->background.epoch);
}

void dr_new_epoch(struct dr_core *core) {
    atomic_fetch_add(&core->background.epoch, 1);
}

uint64_t dr_nanoseconds_out(const struct dr_core *core) {
    return dr_nanoseconds() - core->background.left;
}
