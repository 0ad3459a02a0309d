#include "codemem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "host.h"
#include "region.h"

static _Thread_local bool writing;

bool dr_codemem_is_writing(void) {
    return writing;
}

void dr_codemem_use(struct dr_codemem *memory, struct dr_region *region, const struct dr_slice *slice, struct dr_rules rules) {
    *memory = (struct dr_codemem){
        .region = region,
        .slice = *slice,
        .policy = region->policy->name,
        .run = region->run + slice->offset,
        .size = slice->size,
        .rules = rules,
        .forks = dr_forks,
    };
}

const char *dr_codemem_open(struct dr_codemem *memory, const char *policy, size_t size, struct dr_rules rules) {
    struct dr_region *region;
    struct dr_slice slice;
    memset(memory, 0, sizeof *memory);
    if (size > DR_MAX_CODE)
        return "the code cache is larger than branches reach";
    const char *error = dr_slice_open(policy, (uint32_t)size, rules, &region, &slice);
    if (!error)
        dr_codemem_use(memory, region, &slice, rules);
    return error;
}

void dr_codemem_close(struct dr_codemem *memory) {
    if (memory->region && !dr_codemem_is_stale(memory))
        dr_slice_release(memory->region, &memory->slice);
    free(memory->staged);
    memset(memory, 0, sizeof *memory);
}

const char *dr_codemem_policy(const struct dr_codemem *memory) {
    return memory->policy ? memory->policy : "none";
}

void dr_codemem_own(struct dr_codemem *memory) {
    memory->owner = pthread_self();
    memory->owned = true;
}

void dr_codemem_forget(struct dr_codemem *memory, uint32_t offset, uint32_t size) {
    if (!dr_codemem_is_stale(memory))
        dr_region_forget(memory->region, memory->slice.offset + offset, size);
}

void dr_codemem_read(const struct dr_codemem *memory, void *to, uint32_t offset, uint32_t size) {
    memory->region->policy->read(memory->region, to, memory->slice.offset + offset, size);
}

/* -- writing --------------------------------------------------------------------------------------------------------- */

static bool lies_outside(const struct dr_codemem *memory, const struct dr_patch *patch) {
    uint32_t size = patch->code ? patch->size : DR_BRANCH_SIZE;
    return patch->offset > memory->size || size > memory->size - patch->offset ||
           patch->target > memory->size;
}

static size_t words_of(const struct dr_patch *patch) {
    size_t payload = patch->code ? (patch->size + 3) / 4 + patch->link_count : (DR_BRANCH_SIZE + 3) / 4;
    return sizeof(struct dr_record) / 4 + payload;
}

static bool make_room(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    size_t words = 0;
    for (size_t i = 0; i < count; i++)
        words += words_of(&patches[i]);
    if (words <= memory->staged_room)
        return true;
    uint32_t *bigger = realloc(memory->staged, 2 * words * sizeof *bigger);
    if (!bigger)
        return false;
    memory->staged = bigger;
    memory->staged_room = 2 * words;
    return true;
}

static void stage_unit(const struct dr_codemem *memory, const struct dr_patch *patch, struct dr_record *record) {
    uint32_t *payload = (uint32_t *)(record + 1);
    record->length = patch->size;
    record->link_count = patch->link_count;
    record->charge = patch->charge;
    record->target = memory->slice.offset + patch->target;
    if (patch->size)
        payload[(patch->size - 1) / 4] = 0; /* the padding */
    memcpy(payload, patch->code, patch->size);
    if (patch->link_count)
        memcpy(payload + (patch->size + 3) / 4, patch->links, patch->link_count * sizeof *patch->links);
}

static void stage_branch(const struct dr_codemem *memory, const struct dr_patch *patch, struct dr_record *record) {
    struct dr_branch branch;
    dr_branch_encode(&branch, patch->charge, (int64_t)patch->target - (int64_t)patch->offset);
    record->length = DR_BRANCH_SIZE;
    record->link_count = DR_PATCHED_BRANCH;
    record->charge = patch->charge;
    record->target = memory->slice.offset + patch->target;
    memcpy(record + 1, branch.bytes, DR_BRANCH_SIZE);
}

/* Copies the batch to memory of its own: what is verified is what is written. */
static struct dr_staged stage(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    uint32_t *at = memory->staged;
    for (size_t i = 0; i < count; i++) {
        struct dr_record *record = (struct dr_record *)at;
        *record = (struct dr_record){.offset = memory->slice.offset + patches[i].offset};
        if (patches[i].code)
            stage_unit(memory, &patches[i], record);
        else
            stage_branch(memory, &patches[i], record);
        at += words_of(&patches[i]);
    }
    return (struct dr_staged){memory->staged, at};
}

static void flush(const struct dr_region *region, const struct dr_staged *staged) {
    for (const uint32_t *at = staged->start; at < staged->end;) {
        const struct dr_record *record = (const struct dr_record *)at;
        region->policy->flush(region, region->run + record->offset, record->length);
        at += dr_record_words(record);
    }
}

static const char *may_write(const struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    if (!memory->owned || !pthread_equal(memory->owner, pthread_self()))
        return "the code region was written by a thread that does not own it";
    if (writing)
        return "the code region was written while it was being written";
    if (dr_codemem_is_stale(memory))
        return "the code region was left behind by a fork";
    for (size_t i = 0; i < count; i++)
        if (lies_outside(memory, &patches[i]))
            return "a write to the code region lies outside it";
    return NULL;
}

const char *dr_codemem_write(struct dr_codemem *memory, const struct dr_patch *patches, size_t count) {
    const char *error = may_write(memory, patches, count);
    if (error || !count)
        return error;
    if (!make_room(memory, patches, count))
        return "no memory for a batch of writes";
    struct dr_staged staged = stage(memory, patches, count);
    error = dr_region_admit(memory->region, &staged);
    if (error)
        return error;
    DR_COUNT(memory->toggles, 1);
    writing = true;
    error = memory->region->policy->write(memory->region, &staged);
    writing = false;
    if (!error)
        flush(memory->region, &staged);
    return error;
}

/* -- questions about policies ---------------------------------------------------------------------------------------- */

const char *dr_codemem_probe(const char *policy) {
    struct dr_codemem memory;
    const char *error = dr_codemem_open(&memory, policy, DR_CODE_ALIGN, (struct dr_rules){0});
    dr_codemem_close(&memory);
    dr_region_drop_unused();
    return error;
}

#define ROOM_FOR_PROOF ((sizeof(struct dr_proof) / DR_CODE_ALIGN + 1) * DR_CODE_ALIGN)

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t time_batches(struct dr_codemem *memory, uint32_t batches) {
    struct dr_proof proof = dr_proof(0, 0);
    struct dr_patch patch = {.code = proof.code, .size = proof.size};
    int64_t start = now();
    for (uint32_t i = 0; i < batches; i++)
        if (dr_codemem_write(memory, &patch, 1))
            return -1;
    return (now() - start) / batches;
}

int64_t dr_codemem_cost(const char *policy, uint32_t batches) {
    struct dr_codemem memory;
    int64_t cost = -1;
    if (batches && !dr_codemem_open(&memory, policy, ROOM_FOR_PROOF, (struct dr_rules){0})) {
        dr_codemem_own(&memory);
        cost = time_batches(&memory, batches);
        dr_codemem_close(&memory);
    }
    dr_region_drop_unused();
    return cost;
}
