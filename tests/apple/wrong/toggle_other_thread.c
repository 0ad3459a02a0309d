/* Opens the region for one thread and writes it with another. */
#include "policy.h"

#include <pthread.h>

struct job {
    uint8_t *to;
    const uint32_t *start, *end;
};

static void *work(void *argument) {
    struct job *job = argument;
    dr_copy_records(job->to, job->start, job->end);
    return NULL;
}

static void copy_elsewhere(uint8_t *to, const uint32_t *start, const uint32_t *end) {
    struct job job = {to, start, end};
    pthread_t thread;
    if (!pthread_create(&thread, NULL, work, &job))
        pthread_join(thread, NULL);
}

#define dr_copy_records copy_elsewhere
#include "codemem_apple_toggle.c"
