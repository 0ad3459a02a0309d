/* Guest memory: a reserved window of 4 GiB with guards, and the permissions of its pages.
 *
 * Generated code reaches the window without checks: what the guest may not touch is inaccessible in the host, so the access
 * faults and the interpreter, which asks the permissions, does it again. Pages of devices and pages with watched bytes are
 * made to fault in the same way.
 */
#ifndef DR_MEMORY_H
#define DR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DR_PAGE_BITS 12
#define DR_PAGE (UINT32_C(1) << DR_PAGE_BITS)
#define DR_WINDOW (UINT64_C(1) << 32)
#define DR_GUARD (UINT64_C(1) << 16) /* an access at the last address reaches a little beyond it */
#define DR_PAGES (DR_WINDOW >> DR_PAGE_BITS)

struct dr_memory {
    uint8_t *base;   /* host address of guest address 0 */
    uint8_t *access; /* DR_PAGES bytes of enum dr_access */
};

const char *dr_memory_create(struct dr_memory *memory);
void dr_memory_destroy(struct dr_memory *memory);

/* Ranges are page-aligned and lie in the window. NULL, or why not. */
const char *dr_memory_map(struct dr_memory *memory, uint64_t address, uint64_t size, int access);
const char *dr_memory_protect(struct dr_memory *memory, uint64_t address, uint64_t size, int access);

/* The first address of the range whose page lacks one of the permissions; -1 if there is none. */
int64_t dr_memory_check(const struct dr_memory *memory, uint64_t address, uint64_t size, int access);

/* Copies in, past the guest's permissions; the range is mapped. */
const char *dr_memory_write(struct dr_memory *memory, uint64_t address, const void *from, uint64_t size);

static inline bool dr_memory_allows(const struct dr_memory *memory, uint32_t address, uint32_t size, int access) {
    const uint8_t *page = memory->access + (address >> DR_PAGE_BITS);
    uint32_t last = address + size - 1;
    if ((page[0] & access) != access)
        return false;
    return last >> DR_PAGE_BITS == address >> DR_PAGE_BITS ||
           (last > address && (memory->access[last >> DR_PAGE_BITS] & access) == access);
}

#endif
