#include "region.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "codemem.h"
#include "core.h"
#include "host.h"
#include "verify.h"

#if defined(__APPLE__)
#include <libkern/OSCacheControl.h>
#endif

#define REGION_SIZE ((size_t)1 << 30) /* address space; tried in halves where that is refused */
#define SMALLEST_REGION ((size_t)1 << 20)
#define GRANULE_BITS 16 /* a slice takes whole ones, so no page is shared by two owners */
#define GRANULE (UINT32_C(1) << GRANULE_BITS)
#define MAX_SLICES 256
#define MAX_POLICIES 16
#define BOOKS (2 * MAX_POLICIES) /* code with landing pads has pages of its own */

/* A unit, as its verifier found it. */
struct entry {
    uint16_t charge; /* that it takes from the budget when it is entered at its start */
    uint8_t body;    /* offset behind that: for those who have taken it themselves */
    bool is_entry;
};

/* What is known of a region beside its pages. None of it lives in executable memory. */
struct book {
    struct dr_region region;
    uint8_t *slice_of;     /* of each granule; 0: free */
    struct entry *entries; /* for each place that a unit may start at */
    uint8_t *refunds;      /* for each place that a link may be at: 0, or what it gives back when it is not linked, and 1 */
    size_t mapped;       /* bytes of the three together */
    struct dr_rules rules[MAX_SLICES];
    bool in_use[MAX_SLICES];
};

static struct book books[BOOKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;    /* of the slices */
static pthread_mutex_t mapping = PTHREAD_MUTEX_INITIALIZER; /* of the regions; taken first */
unsigned dr_forks;
static _Thread_local char refused[160];

void dr_flush_instructions(const struct dr_region *region, uint8_t *start, size_t length) {
    (void)region;
#if defined(__APPLE__)
    sys_icache_invalidate(start, length);
#else
    __builtin___clear_cache((char *)start, (char *)start + length);
#endif
}

void dr_read_directly(const struct dr_region *region, void *to, size_t offset, size_t length) {
    memcpy(to, region->run + offset, length);
}

static struct book *book_of(struct dr_region *region) {
    return (struct book *)region; /* its first member */
}

void dr_region_forget(struct dr_region *region, uint32_t offset, uint32_t size) {
    struct book *book = book_of(region);
    uint32_t first = offset / DR_CODE_ALIGN, behind = (offset + size + DR_CODE_ALIGN - 1) / DR_CODE_ALIGN;
    memset(book->entries + first, 0, (behind - first) * sizeof *book->entries);
    first = offset / DR_LINK_ALIGN;
    behind = (offset + size + DR_LINK_ALIGN - 1) / DR_LINK_ALIGN;
    memset(book->refunds + first, 0, behind - first);
}

/* -- slices ---------------------------------------------------------------------------------------------------------- */

static uint32_t free_number(const struct book *book) {
    for (uint32_t number = 1; number < MAX_SLICES; number++)
        if (!book->in_use[number])
            return number;
    return 0;
}

static uint32_t free_granules(const struct book *book, uint32_t wanted) {
    uint32_t count = (uint32_t)(book->region.size >> GRANULE_BITS);
    for (uint32_t first = 0, run = 0; first + run < count;) {
        if (book->slice_of[first + run]) {
            first += run + 1;
            run = 0;
        } else if (++run == wanted) {
            return first;
        }
    }
    return UINT32_MAX;
}

static uint32_t granules(uint32_t size) {
    return (size + GRANULE - 1) >> GRANULE_BITS;
}

static const char *take_slice(struct dr_region *region, uint32_t size, struct dr_rules rules, struct dr_slice *slice) {
    struct book *book = book_of(region);
    pthread_mutex_lock(&lock);
    uint32_t number = free_number(book), first = number && size ? free_granules(book, granules(size)) : UINT32_MAX;
    if (first != UINT32_MAX) {
        *slice = (struct dr_slice){number, first << GRANULE_BITS, size};
        memset(book->slice_of + first, (int)number, granules(size));
        book->rules[number] = rules;
        book->in_use[number] = true;
    }
    pthread_mutex_unlock(&lock);
    return first == UINT32_MAX ? "the code region of this process has no room left: a smaller code cache, or fewer machines"
                               : NULL;
}

void dr_slice_release(struct dr_region *region, const struct dr_slice *slice) {
    struct book *book = book_of(region);
    dr_region_forget(region, slice->offset, slice->size);
    pthread_mutex_lock(&lock);
    memset(book->slice_of + (slice->offset >> GRANULE_BITS), 0, granules(slice->size));
    book->in_use[slice->number] = false;
    pthread_mutex_unlock(&lock);
}

/* The number of the slice that a range lies in as a whole; 0 if it does not. */
static uint32_t slice_at(const struct book *book, uint32_t offset, uint32_t size) {
    if (offset >= book->region.size || !size || size > book->region.size - offset)
        return 0;
    uint32_t first = offset >> GRANULE_BITS, last = (offset + size - 1) >> GRANULE_BITS;
    for (uint32_t granule = first; granule < last; granule++)
        if (book->slice_of[granule] != book->slice_of[last])
            return 0;
    return book->slice_of[last];
}

/* -- what may be written --------------------------------------------------------------------------------------------- */

static void note_unit(struct book *book, const struct dr_record *record, const struct dr_head *head) {
    const uint8_t *code = (const uint8_t *)(record + 1);
    const uint32_t *links = (const uint32_t *)(record + 1) + (record->length + 3) / 4;
    dr_region_forget(&book->region, record->offset, record->length);
    book->entries[record->offset / DR_CODE_ALIGN] = (struct entry){(uint16_t)head->charge, (uint8_t)head->body, true};
    for (uint32_t i = 0; i < record->link_count; i++)
        book->refunds[(record->offset + links[i]) / DR_LINK_ALIGN] = (uint8_t)(dr_branch_refund(code + links[i]) + 1);
}

static const char *admit_unit(struct book *book, const struct dr_record *record) {
    const uint8_t *code = (const uint8_t *)(record + 1);
    const uint32_t *links = (const uint32_t *)(record + 1) + (record->length + 3) / 4;
    uint32_t slice = slice_at(book, record->offset, record->length);
    if (!slice || record->offset % DR_CODE_ALIGN)
        return "a unit was to be written where none can be";
    const struct dr_rules *rules = &book->rules[slice];
    struct dr_candidate candidate = {code, record->length, links, record->link_count, rules->harden};
    struct dr_head head;
    struct dr_refusal refusal;
    if (!DR_VERIFY(&candidate, &head, &refusal)) {
        snprintf(refused, sizeof refused, "generated code was refused: %s, at byte %u", refusal.reason, refusal.offset);
        return refused;
    }
    if (record->charge != (int32_t)head.charge || record->target != record->offset + head.body)
        return "a unit takes something else from the budget than was said of it";
    note_unit(book, record, &head);
    return NULL;
}

/* Whether a link leads to where what it takes is right: its own exit call, or a unit, before or behind its charge. */
static bool leads(const struct book *book, const struct dr_record *link, uint32_t refund, uint32_t slice) {
    const struct entry *entry = &book->entries[link->target / DR_CODE_ALIGN];
    uint32_t into = link->target % DR_CODE_ALIGN;
    if (link->charge == -(int32_t)refund && link->target == link->offset + DR_BRANCH_SIZE)
        return true;
    if (slice_at(book, link->target, 1) != slice || !entry->is_entry)
        return false;
    return into ? into == entry->body && link->charge == (int32_t)entry->charge - (int32_t)refund
                : link->charge == -(int32_t)refund;
}

static const char *admit_branch(const struct book *book, const struct dr_record *record) {
    uint32_t slice = slice_at(book, record->offset, DR_BRANCH_SIZE);
    if (!slice || record->length != DR_BRANCH_SIZE || record->offset % DR_LINK_ALIGN ||
        !book->refunds[record->offset / DR_LINK_ALIGN])
        return "a link was to be changed where there is none";
    if (record->target >= book->region.size ||
        !leads(book, record, book->refunds[record->offset / DR_LINK_ALIGN] - 1u, slice))
        return "a link was to lead to what is no unit, or for another price";
    struct dr_branch branch;
    int64_t distance = (int64_t)record->target - (int64_t)record->offset;
    dr_branch_encode(&branch, record->charge, distance);
    if (!dr_branch_reaches(record->charge, distance) || memcmp(record + 1, branch.bytes, DR_BRANCH_SIZE))
        return "a link was to be changed to something else";
    return NULL;
}

static bool is_whole(const struct dr_region *region, const struct dr_record *record, size_t left) {
    if (left < sizeof *record / 4 || record->length > region->size)
        return false;
    if (record->link_count != DR_PATCHED_BRANCH && record->link_count > record->length)
        return false;
    return dr_record_words(record) <= left;
}

/* What was not written is no entry: of the records before `end`. */
static void take_back(struct dr_region *region, const uint32_t *at, const uint32_t *end) {
    while (at < end) {
        const struct dr_record *record = (const struct dr_record *)at;
        if (record->link_count != DR_PATCHED_BRANCH)
            dr_region_forget(region, record->offset, record->length);
        at += dr_record_words(record);
    }
}

const char *dr_region_admit(struct dr_region *region, const struct dr_staged *staged) {
    for (const uint32_t *at = staged->start; at < staged->end;) {
        const struct dr_record *record = (const struct dr_record *)at;
        const char *error = "a batch of writes to the code region is cut off";
        if (is_whole(region, record, (size_t)(staged->end - at)))
            error = record->link_count == DR_PATCHED_BRANCH ? admit_branch(book_of(region), record)
                                                            : admit_unit(book_of(region), record);
        if (error) {
            take_back(region, staged->start, at);
            return error;
        }
        at += dr_record_words(record);
    }
    return NULL;
}

/* -- mapping, and proof ---------------------------------------------------------------------------------------------- */

/* A unit that puts a number into the first state word and leaves. */
static const char *run_proof(struct dr_codemem *memory, struct dr_core *core, uint16_t number) {
    struct dr_proof proof = dr_proof(number, memory->rules.harden);
    struct dr_patch patch = {.code = proof.code, .size = proof.size};
    const char *error = dr_codemem_write(memory, &patch, 1);
    if (error)
        return error;
    struct dr_core *before = dr_faults_expect(core);
    dr_run_code(core, memory->run);
    dr_faults_expect(before);
    if (core->cpu.fault_pc)
        return "code written to the region could not be executed";
    return core->cpu.state[0] == number ? NULL : "code written to the region did not run as written";
}

/* Code that is written runs, and code that is written over it runs in its place. */
static const char *prove_with(struct dr_codemem *memory) {
    struct dr_core *core = calloc(1, sizeof *core);
    if (!core)
        return "no memory";
    memset(core->cpu.homes, DR_SINK_WORD, sizeof core->cpu.homes);
    core->cpu.exit = dr_exit_for(&core->cpu, memory->rules.harden);
    const char *error = dr_faults_install();
    for (uint16_t number = 1; number < 4 && !error; number++)
        error = run_proof(memory, core, number);
    free(core);
    return error;
}

static const char *prove(struct dr_region *region, struct dr_rules rules) {
    struct dr_slice slice;
    struct dr_codemem memory;
    const char *error = take_slice(region, GRANULE, rules, &slice);
    if (error)
        return error;
    dr_codemem_use(&memory, region, &slice, rules);
    dr_codemem_own(&memory);
    error = prove_with(&memory);
    dr_codemem_close(&memory);
    return error;
}

static bool open_book(struct book *book) {
    size_t size = book->region.size, entries = size / DR_CODE_ALIGN * sizeof *book->entries, links = size / DR_LINK_ALIGN;
    book->mapped = entries + links + (size >> GRANULE_BITS);
    uint8_t *memory = mmap(NULL, book->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    book->entries = (struct entry *)memory;
    book->refunds = memory + entries;
    book->slice_of = memory + entries + links;
    return true;
}

static void close_book(struct book *book) {
    if (book->entries)
        munmap(book->entries, book->mapped);
    if (book->region.run)
        book->region.policy->unmap(&book->region);
    memset(book, 0, sizeof *book);
}

static const char *map_region(struct book *book) {
    const char *error = NULL;
    for (size_t size = REGION_SIZE; size >= SMALLEST_REGION; size /= 2) {
        book->region.size = size;
        error = book->region.policy->map(&book->region, size);
        if (!error)
            return open_book(book) ? NULL : "no memory for the book of the code region";
    }
    return error;
}

/* Maps and proves; a region that fails is gone again. */
static const char *establish(struct book *book, struct dr_rules rules) {
    const char *error = map_region(book);
    if (!error)
        error = prove(&book->region, rules);
    if (error)
        close_book(book);
    return error;
}

static struct dr_region *region_at(unsigned index, struct dr_rules rules, const char **error) {
    bool pads = rules.harden & DR_BTI;
    struct book *book = &books[pads ? MAX_POLICIES + index : index];
    *error = NULL;
    if (book->region.run) /* other machines' threads read it: it does not change any more */
        return &book->region;
    book->region.policy = dr_policies[index];
    book->region.execute = PROT_EXEC | (pads ? DR_PROT_BTI : 0);
    *error = establish(book, rules);
    return *error ? NULL : &book->region;
}

static struct dr_region *first_region(struct dr_rules rules, const char **error) {
    *error = "no policy was built for this system";
    for (unsigned i = 0; dr_policies[i]; i++) {
        struct dr_region *region = dr_policies[i]->choice != DR_BY_NAME ? region_at(i, rules, error) : NULL;
        if (region)
            return region;
    }
    return NULL;
}

static bool is_unused(const struct book *book) {
    for (size_t i = 0; i < MAX_SLICES; i++)
        if (book->in_use[i])
            return false;
    return true;
}

void dr_region_drop_unused(void) {
    pthread_mutex_lock(&mapping);
    for (unsigned i = 0; i < BOOKS; i++)
        if (books[i].region.run && is_unused(&books[i]))
            close_book(&books[i]);
    pthread_mutex_unlock(&mapping);
}

/* -- fork ------------------------------------------------------------------------------------------------------------ */

static void before_fork(void) {
    pthread_mutex_lock(&mapping);
    pthread_mutex_lock(&lock);
    dr_samplers_hold(true);
    dr_faults_hold(true); /* the last: proving a region takes it with the first */
}

static void behind_fork(void) {
    dr_faults_hold(false);
    dr_samplers_hold(false);
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&mapping);
}

/* A region may be shared with the parent, and its owners do not live here: the child has none. */
static void in_child(void) {
    for (unsigned i = 0; i < BOOKS; i++)
        close_book(&books[i]);
    dr_forks++;
    behind_fork();
}

static void register_handlers(void) {
    pthread_atfork(before_fork, behind_fork, in_child);
}

void dr_region_watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_handlers);
}

static struct dr_region *find_region(const char *policy, struct dr_rules rules, const char **error) {
    *error = dr_harden_problem(rules.harden);
    if (*error)
        return NULL;
    if (strcmp(policy, "auto") == 0)
        return first_region(rules, error);
    for (unsigned i = 0; dr_policies[i]; i++)
        if (strcmp(dr_policies[i]->name, policy) == 0)
            return region_at(i, rules, error);
    *error = "there is no policy of that name on this system";
    return NULL;
}

const char *dr_slice_open(const char *policy, uint32_t size, struct dr_rules rules, struct dr_region **region,
                          struct dr_slice *slice) {
    const char *error;
    dr_region_watch_forks();
    pthread_mutex_lock(&mapping);
    *region = find_region(policy, rules, &error);
    if (*region)
        error = take_slice(*region, size, rules, slice);
    pthread_mutex_unlock(&mapping);
    return error;
}
