/* Guest memory: a reserved window of 4 GiB with guards, and the permissions of its pages.
 *
 * Generated code reaches the window without checks: what the guest may not touch is inaccessible in the host, so the access
 * faults and the interpreter, which asks the permissions, does it again. Pages of devices and pages with hooked bytes are
 * made to fault in the same way.
 */
#ifndef DR_MEMORY_H
#define DR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mirrors.h"

#define DR_PAGE_BITS 12
#define DR_PAGE (UINT32_C(1) << DR_PAGE_BITS)
#define DR_WINDOW (UINT64_C(1) << 32)
#define DR_GUARD (UINT64_C(1) << 16) /* an access at the last address reaches a little beyond it */
#define DR_PAGES (DR_WINDOW >> DR_PAGE_BITS)

/* What is known of a guest page beside enum dr_access. */
enum dr_page {
    DR_WATCH_WRITE = 16, /* with bytes that are hooked: neither read nor written by generated code (mirrors.h) */
    DR_CODE = 64,  /* units were made from bytes in it, and stores to it are noticed */
    DR_MIXED = 128, /* code and data alike: stores are not noticed, its units compare their bytes when they are entered */
    DR_DIRTY = 2048, /* perhaps not what it is in `dr_memory.image`: all guest pages of a host page, or none (snapshot.h) */
    DR_SLOW_READ = 256, /* the guest may read the page, and its host page does not let that through */
    DR_SLOW_WRITE = 4096, /* likewise */
    DR_HOOKED = 512, /* with instructions or basic blocks that are hooked */
    DR_WATCH_READ = 1024,
    DR_WATCH_STORED = 8192, /* with bytes that are hooked behind writes */
    DR_DECODED = 16384, /* there may be decoded instructions of it (decoded.h) */
};
/* when the guest's permissions change */
#define DR_KEPT \
    (DR_CODE | DR_MIXED | DR_DIRTY | DR_HOOKED | DR_WATCH_READ | DR_WATCH_WRITE | DR_WATCH_STORED | DR_DECODED)
#define DR_GUEST (DR_READ | DR_WRITE | DR_EXECUTE | DR_OWNED) /* the guest's permissions */

struct dr_tree;
struct dr_map;

struct dr_memory {
    uint8_t *base;    /* host address of guest address 0 */
    uint16_t *access; /* for each of DR_PAGES, enum dr_access and enum dr_page */
    bool all_mixed;   /* as if every page were DR_MIXED */
    uint64_t host;    /* bytes of a host page */
    uint8_t *mapping;
    bool tracked;          /* the first store to a page that is not DR_DIRTY is noticed */
    uint32_t *dirty;       /* the pages that are DR_DIRTY */
    size_t dirty_count, dirty_room;
    struct dr_tree *image; /* the bytes of all pages at the last snapshot or restore */
    struct dr_map *map;    /* the guest's permissions; NULL: they have changed since somebody asked */
    struct dr_mirror mirrors[DR_MIRRORS];
};

/* host_page: 0, or a size that host pages are taken to have, no smaller than they are. */
const char *dr_memory_create(struct dr_memory *memory, uint64_t host_page);
void dr_memory_destroy(struct dr_memory *memory);

/* Ranges are page-aligned and lie in the window. NULL, or why not. */
const char *dr_memory_map(struct dr_memory *memory, uint64_t address, uint64_t size, int access);
const char *dr_memory_protect(struct dr_memory *memory, uint64_t address, uint64_t size, int access);

/* The first address of the range whose page lacks one of the permissions; -1 if there is none. */
int64_t dr_memory_check(const struct dr_memory *memory, uint64_t address, uint64_t size, int access);

/* Sets or clears enum dr_page bits of a guest page; the host's protection follows with dr_memory_apply. */
void dr_memory_flag(struct dr_memory *memory, uint64_t address, uint16_t flag, bool on);
const char *dr_memory_apply(struct dr_memory *memory, uint64_t address, uint64_t size);

/* Both, for DR_CODE or DR_MIXED. */
bool dr_memory_mark(struct dr_memory *memory, uint32_t page, uint16_t flag, bool on);
bool dr_memory_is_mixed(const struct dr_memory *memory, uint32_t address, uint64_t size);

/* Brings the host's protection of a range in line with the permissions. */
const char *dr_memory_apply(struct dr_memory *memory, uint64_t address, uint64_t size);

/* Opens the host pages of a range for the host, until dr_memory_apply. */
const char *dr_memory_open(struct dr_memory *memory, uint64_t address, uint64_t size);

/* Zeroes a range, whose host pages are closed or open then, until dr_memory_apply. NULL, or why not. */
const char *dr_memory_clear(struct dr_memory *memory, uint64_t address, uint64_t size);

/* Copies out or in, past the guest's permissions; the range is mapped. */
const char *dr_memory_read(struct dr_memory *memory, uint64_t address, void *to, uint64_t size);
bool dr_memory_equals(struct dr_memory *memory, uint64_t address, const uint8_t *bytes, uint64_t size);
const char *dr_memory_write(struct dr_memory *memory, uint64_t address, const void *from, uint64_t size);


/* The machine's own thread changes what it knows of pages while it runs; others may look. */
static inline uint16_t dr_memory_page(const struct dr_memory *memory, uint64_t address) {
    return __atomic_load_n(&memory->access[address >> DR_PAGE_BITS], __ATOMIC_RELAXED);
}

/* Whether an access of the guest's that is allowed may be made without more ado. slow: DR_SLOW_READ or DR_SLOW_WRITE. */
static inline bool dr_memory_is_fast(const struct dr_memory *memory, uint32_t address, uint32_t size, uint16_t slow) {
    uint32_t last = address + size - 1;
    return !((memory->access[address >> DR_PAGE_BITS] | memory->access[last >> DR_PAGE_BITS]) & slow);
}

static inline bool dr_memory_allows(const struct dr_memory *memory, uint32_t address, uint32_t size, int access) {
    const uint16_t *page = memory->access + (address >> DR_PAGE_BITS);
    uint32_t last = address + size - 1;
    if ((page[0] & access) != access)
        return false;
    return last >> DR_PAGE_BITS == address >> DR_PAGE_BITS ||
           (last > address && (memory->access[last >> DR_PAGE_BITS] & access) == access);
}

#endif
