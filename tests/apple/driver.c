/* Drives a policy through native/region.c and native/codemem.c, as the core does: units are written and run, a branch is
 * patched, machines share the region, the region goes and comes back. `driver(SCENARIO, POLICY)`; 0: all as it should be. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codemem.h"
#include "core.h"
#include "host.h"
#include "model.h"
#include "verify.h"

#define SLICE (UINT32_C(1) << 20)
#define LARGE_UNIT (UINT32_C(8) << 10)
#define LARGE_COUNT 100 /* together more than the callback has room for */
#define FORBIDDEN 0x4141 /* a number that the verifier of this driver does not like */
#define HARMLESS 1

enum { DONE, REFUSED = 3, FAILED = 4 };

/* -- a verifier, and an attacker who works while it does -------------------------------------------------------------- */

static uint8_t *spoiled; /* code that is changed as soon as it was verified */

static bool holds(const uint8_t *code, uint32_t size, uint16_t number) {
    struct dr_proof proof = dr_proof(number, 0);
    return size >= proof.size && memcmp(code, proof.code, proof.size) == 0;
}

bool DR_VERIFY(const struct dr_candidate *candidate, struct dr_head *head, struct dr_refusal *refusal) {
    *head = (struct dr_head){0, 0};
    *refusal = (struct dr_refusal){0, "it is forbidden"};
    bool good = !holds(candidate->code, candidate->size, FORBIDDEN);
    if (spoiled) {
        struct dr_proof proof = dr_proof(FORBIDDEN, 0);
        memcpy(spoiled, proof.code, proof.size);
    }
    return good;
}

/* -- faults are the model's ------------------------------------------------------------------------------------------- */

const char *dr_faults_install(void) {
    return NULL;
}

void dr_faults_hold(bool hold) {
    (void)hold;
}

void dr_samplers_hold(bool hold) {
    (void)hold;
}

struct dr_core *dr_faults_expect(struct dr_core *core) {
    (void)core;
    return NULL;
}

void dr_run_code(struct dr_core *core, const void *entry) {
    dr_enter(core->cpu.state, entry);
}

/* -- units ----------------------------------------------------------------------------------------------------------- */

static struct dr_cpu *cpu;

static bool fails(const char *error) {
    model_check_closed();
    if (error)
        printf("failed: %s\n", error);
    return error != NULL;
}

static uint32_t run(struct dr_codemem *memory, uint32_t offset) {
    dr_enter(cpu->state, memory->run + offset);
    model_check_closed();
    return cpu->state[0];
}

static bool write_number(struct dr_codemem *memory, uint32_t offset, uint16_t number) {
    struct dr_proof proof = dr_proof(number, 0);
    struct dr_patch patch = {.offset = offset, .code = proof.code, .size = proof.size, .target = offset};
    return !fails(dr_codemem_write(memory, &patch, 1));
}

struct linked {
    uint8_t code[sizeof(struct dr_proof) + DR_BRANCH_SIZE];
    uint32_t size, link;
};

/* Like the proof, but with a link in front of its exit call. */
static struct linked linked_unit(uint16_t number) {
    struct linked unit;
    struct dr_proof proof = dr_proof(number, 0);
    struct dr_branch branch;
    uint32_t leave = dr_exit_call(0).size, body = proof.size - leave;
    unit.link = body;
    unit.size = unit.link + DR_BRANCH_SIZE + leave;
    memcpy(unit.code, proof.code, body);
    dr_branch_encode(&branch, 0, DR_BRANCH_SIZE);
    memcpy(unit.code + unit.link, branch.bytes, DR_BRANCH_SIZE);
    memcpy(unit.code + unit.link + DR_BRANCH_SIZE, proof.code + body, leave);
    return unit;
}

static bool link_and_unlink(struct dr_codemem *memory) {
    enum { FIRST = 0, SECOND = 4096 + 64 };
    struct linked unit = linked_unit(5);
    struct dr_patch first = {
        .offset = FIRST, .code = unit.code, .size = unit.size, .links = &unit.link, .link_count = 1};
    struct dr_patch link = {.offset = FIRST + unit.link, .target = SECOND};
    struct dr_patch unlink = {.offset = FIRST + unit.link, .target = FIRST + unit.link + DR_BRANCH_SIZE};
    if (fails(dr_codemem_write(memory, &first, 1)) || !write_number(memory, SECOND, 6) || run(memory, FIRST) != 5)
        return false;
    if (fails(dr_codemem_write(memory, &link, 1)) || run(memory, FIRST) != 6)
        return false;
    return !fails(dr_codemem_write(memory, &unlink, 1)) && run(memory, FIRST) == 5;
}

/* -- scenarios ------------------------------------------------------------------------------------------------------- */

static int opened(struct dr_codemem *memory, const char *policy) {
    const char *error = dr_codemem_open(memory, policy, SLICE, (struct dr_rules){0});
    model_check_closed();
    if (error) {
        printf("refused: %s\n", error);
        return REFUSED;
    }
    printf("opened: %s\n", dr_codemem_policy(memory));
    dr_codemem_own(memory);
    return DONE;
}

static int run_all(const char *policy) {
    struct dr_codemem memory, other;
    int status = opened(&memory, policy);
    if (status)
        return status;
    bool good = link_and_unlink(&memory) && !opened(&other, policy) && link_and_unlink(&other);
    for (uint16_t number = 1; number < 4 && good; number++)
        good = write_number(&memory, 64, number) && run(&memory, 64) == number && run(&other, 0) == 5;
    dr_codemem_close(&other);
    dr_codemem_close(&memory);
    return good ? DONE : FAILED;
}

/* The region goes when nobody has a part of it, and comes back. */
static int run_twice(const char *policy) {
    int status = run_all(policy);
    dr_region_drop_unused();
    return status ? status : run_all(policy);
}

static int run_large(const char *policy) {
    static uint8_t code[LARGE_COUNT][LARGE_UNIT];
    struct dr_patch patches[LARGE_COUNT];
    struct dr_codemem memory;
    int status = opened(&memory, policy);
    if (status)
        return status;
    for (uint16_t i = 0; i < LARGE_COUNT; i++) {
        struct dr_proof proof = dr_proof(i, 0);
        memcpy(code[i], proof.code, proof.size);
        patches[i] = (struct dr_patch){
            .offset = i * LARGE_UNIT, .code = code[i], .size = LARGE_UNIT, .target = i * LARGE_UNIT};
    }
    bool good = !fails(dr_codemem_write(&memory, patches, LARGE_COUNT));
    for (uint32_t i = 0; i < LARGE_COUNT && good; i++)
        good = run(&memory, i * LARGE_UNIT) == i;
    dr_codemem_close(&memory);
    return good ? DONE : FAILED;
}

/* -- the callback, called by an attacker ------------------------------------------------------------------------------ */

struct forged {
    struct dr_record record;
    uint8_t code[64];
};

static struct forged forge(const struct dr_codemem *memory, uint16_t number) {
    struct forged forged;
    memset(&forged, 0, sizeof forged);
    struct dr_proof proof = dr_proof(number, 0);
    uint32_t offset = memory->slice.offset + 256;
    forged.record = (struct dr_record){.offset = offset, .length = proof.size, .target = offset};
    memcpy(forged.code, proof.code, proof.size);
    return forged;
}

static int call_callback(const struct forged *forged, ptrdiff_t words) {
    struct dr_staged staged = {(const uint32_t *)forged, (const uint32_t *)forged + words};
    return pthread_jit_write_with_callback_np(model_callbacks[0], &staged);
}

static bool is_written(const struct dr_codemem *memory, uint16_t number) {
    uint8_t found[64];
    dr_codemem_read(memory, found, 256, sizeof found);
    return holds(found, sizeof found, number);
}

static bool survives(const struct dr_codemem *memory, const char *what, const struct forged *forged, ptrdiff_t words) {
    bool good = call_callback(forged, words) && is_written(memory, HARMLESS);
    if (!good)
        fprintf(stderr, "model: the callback wrote what it was not to write: %s\n", what);
    return good;
}

static bool survives_all(const struct dr_codemem *memory) {
    struct forged forbidden = forge(memory, FORBIDDEN), outside = forge(memory, 2), branch = forge(memory, 2);
    struct forged endless = forge(memory, 2), good = forge(memory, 2);
    ptrdiff_t words = dr_record_words(&good.record);
    outside.record.offset = (uint32_t)-16;
    branch.record.link_count = DR_PATCHED_BRANCH;
    endless.record.length = UINT32_MAX;
    return survives(memory, "forbidden code", &forbidden, words) && survives(memory, "out of the region", &outside, words) &&
           survives(memory, "a branch where none is", &branch, words) && survives(memory, "cut off", &good, words - 1) &&
           survives(memory, "of endless length", &endless, words) && survives(memory, "of negative size", &good, -1) &&
           survives(memory, "larger than its room", &good, 1 << 20);
}

/* What is verified is changed before it is copied: the change must not be what is written. */
static bool copies_first(const struct dr_codemem *memory) {
    struct forged forged = forge(memory, 2);
    spoiled = forged.code;
    bool good = call_callback(&forged, dr_record_words(&forged.record)) == 0 && is_written(memory, 2);
    spoiled = NULL;
    if (!good)
        fprintf(stderr, "model: the callback wrote something else than it had checked\n");
    return good;
}

static int run_hostile(const char *policy) {
    struct dr_codemem memory;
    int status = opened(&memory, policy);
    if (status)
        return status;
    bool good = write_number(&memory, 256, HARMLESS) && survives_all(&memory) && copies_first(&memory);
    dr_codemem_close(&memory);
    return good ? DONE : FAILED;
}

__attribute__((visibility("default"))) int driver(const char *scenario, const char *policy) {
    static const struct {
        const char *name;
        int (*run)(const char *policy);
    } scenarios[] = {{"run", run_twice}, {"large", run_large}, {"hostile", run_hostile}};
    cpu = calloc(1, sizeof *cpu);
    memset(cpu->homes, DR_SINK_WORD, sizeof cpu->homes);
    cpu->exit = dr_exit_for(cpu, 0);
    int status = FAILED;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(scenarios[i].name, scenario) == 0)
            status = scenarios[i].run(policy);
    fflush(stdout);
    model_check_closed();
    return status;
}
