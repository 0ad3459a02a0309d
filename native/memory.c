#include "memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api.h"

static void *reserve(size_t size, int protection) {
    void *memory = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

const char *dr_memory_create(struct dr_memory *memory) {
    uint8_t *window = reserve(DR_WINDOW + 2 * DR_GUARD, PROT_NONE);
    if (!window)
        return "4 GiB of address space for the guest could not be reserved (see ulimit -v)";
    memory->access = reserve(DR_PAGES, PROT_READ | PROT_WRITE);
    if (!memory->access) {
        munmap(window, DR_WINDOW + 2 * DR_GUARD);
        return "no memory for the guest's page permissions";
    }
    memory->base = window + DR_GUARD;
    return NULL;
}

void dr_memory_destroy(struct dr_memory *memory) {
    if (memory->base)
        munmap(memory->base - DR_GUARD, DR_WINDOW + 2 * DR_GUARD);
    if (memory->access)
        munmap(memory->access, DR_PAGES);
    memory->base = memory->access = NULL;
}

static uint64_t host_page(void) {
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Protection of a host page, which may hold several guest pages: what any of them allows, unless one must fault. */
static int protection(const struct dr_memory *memory, uint64_t address, uint64_t host) {
    int any = 0;
    for (uint64_t page = address; page < address + host; page += DR_PAGE)
        any |= memory->access[page >> DR_PAGE_BITS];
    if (any & DR_DEVICE || !(any & (DR_READ | DR_WRITE | DR_EXECUTE)))
        return PROT_NONE;
    return PROT_READ | (any & DR_WRITE && !(any & DR_WATCH) ? PROT_WRITE : 0);
}

/* Brings the host's protection of a range in line with the permissions, in runs of equal protection. */
static const char *apply(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t host = host_page();
    uint64_t start = address & ~(host - 1), end = (address + size + host - 1) & ~(host - 1);
    while (start < end) {
        int wanted = protection(memory, start, host);
        uint64_t stop = start + host;
        while (stop < end && protection(memory, stop, host) == wanted)
            stop += host;
        if (mprotect(memory->base + start, stop - start, wanted))
            return strerror(errno);
        start = stop;
    }
    return NULL;
}

static bool aligned(uint64_t address, uint64_t size) {
    return !((address | size) & (DR_PAGE - 1)) && address <= DR_WINDOW && size <= DR_WINDOW - address;
}

/* Zeroes a range. Whole host pages go back to the system; the rest of a host page may hold other guest pages. */
static void clear(struct dr_memory *memory, uint64_t address, uint64_t size) {
    uint64_t host = host_page(), end = address + size;
    uint64_t first = (address + host - 1) & ~(host - 1), last = end & ~(host - 1);
    if (first < last)
        (void)mmap(memory->base + first, last - first, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    for (uint64_t page = address; page < end; page += DR_PAGE) {
        uint64_t start = page & ~(host - 1);
        if (start >= first && start + host <= last)
            continue;
        (void)mprotect(memory->base + start, host, PROT_READ | PROT_WRITE);
        memset(memory->base + page, 0, DR_PAGE);
    }
}

const char *dr_memory_map(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    clear(memory, address, size);
    return dr_memory_protect(memory, address, size, access);
}

const char *dr_memory_protect(struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (!aligned(address, size))
        return "a range of guest memory is not made of whole pages";
    memset(memory->access + (address >> DR_PAGE_BITS), access, size >> DR_PAGE_BITS);
    return apply(memory, address, size);
}

int64_t dr_memory_check(const struct dr_memory *memory, uint64_t address, uint64_t size, int access) {
    if (address > DR_WINDOW || size > DR_WINDOW - address)
        return (int64_t)(address < DR_WINDOW ? DR_WINDOW - 1 : address);
    for (uint64_t at = address; at < address + size; at = (at | (DR_PAGE - 1)) + 1) {
        int page = memory->access[at >> DR_PAGE_BITS];
        bool mapped = page & (DR_READ | DR_WRITE | DR_EXECUTE) && !(page & DR_DEVICE);
        if (!mapped || (page & access) != access)
            return (int64_t)at;
    }
    return -1;
}

const char *dr_memory_write(struct dr_memory *memory, uint64_t address, const void *from, uint64_t size) {
    uint64_t host = host_page();
    uint64_t start = address & ~(host - 1), end = (address + size + host - 1) & ~(host - 1);
    bool open = true;
    for (uint64_t page = start; page < end; page += host)
        open = open && protection(memory, page, host) & PROT_WRITE;
    if (open) {
        memcpy(memory->base + address, from, size);
        return NULL;
    }
    if (mprotect(memory->base + start, end - start, PROT_READ | PROT_WRITE))
        return strerror(errno);
    memcpy(memory->base + address, from, size);
    return apply(memory, address, size);
}
