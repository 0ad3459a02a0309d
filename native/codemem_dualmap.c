/* Two views of the same pages: one to run, one to write, at an unrelated random address. No page is ever both through one
 * view, and nothing that generated code or its registers hold leads to the writable one.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy.h"

#if defined(__APPLE__)
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdlib.h>
#else
#include <sys/random.h>
#endif

#define ADDRESS_BITS 46 /* of user space, on the processors with the least */
#define LOWEST_ADDRESS (UINT64_C(1) << 32)
#define GRANULE (UINT64_C(1) << 16)
#if defined(__SANITIZE_THREAD__)
#define TRIES 0 /* ThreadSanitizer allows memory in few places */
#else
#define TRIES 64
#endif

static void *random_address(void) {
    uint64_t number = 0;
#if defined(__APPLE__)
    arc4random_buf(&number, sizeof number);
#else
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return NULL;
#endif
    number %= (UINT64_C(1) << ADDRESS_BITS) - LOWEST_ADDRESS;
    return (void *)((number + LOWEST_ADDRESS) & ~(GRANULE - 1)); /* NOLINT: an address that nothing is at yet */
}

#if defined(__APPLE__)

static const char *map_run(struct dr_region *region, size_t size) {
    mach_vm_address_t run = 0;
    vm_prot_t now, most;
    mach_port_t task = mach_task_self();
    if (mach_vm_remap(task, &run, size, 0, VM_FLAGS_ANYWHERE, task, (mach_vm_address_t)region->writable, FALSE, &now,
                      &most, VM_INHERIT_NONE))
        return "mach_vm_remap was refused";
    region->run = (uint8_t *)run;
    if (mach_vm_protect(task, run, size, FALSE, VM_PROT_READ | VM_PROT_EXECUTE)) {
        munmap(region->run, size);
        region->run = NULL;
        return "the second view may not be executed: a hardened program needs MAP_JIT";
    }
    return NULL;
}

static const char *map_region(struct dr_region *region, size_t size) {
    void *writable = mmap(random_address(), size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (writable == MAP_FAILED)
        return strerror(errno);
    region->writable = writable;
    const char *error = map_run(region, size);
    if (error)
        munmap(writable, size);
    return error;
}

#else

static void *map_anywhere(int file, size_t size) {
    for (int i = 0; i < TRIES; i++) {
        void *wanted = random_address();
        void *found = mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
        if (found == wanted && found)
            return found;
        if (found != MAP_FAILED)
            munmap(found, size); /* a kernel before 4.17 takes the address for a wish */
    }
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

static const char *map_views(struct dr_region *region, int file, size_t size) {
    if (ftruncate(file, (off_t)size))
        return strerror(errno);
    void *run = mmap(NULL, size, PROT_READ | region->execute, MAP_SHARED, file, 0);
    if (run == MAP_FAILED)
        return strerror(errno);
    void *writable = map_anywhere(file, size);
    if (writable == MAP_FAILED) {
        const char *error = strerror(errno);
        munmap(run, size);
        return error;
    }
    region->run = run;
    region->writable = writable;
    return NULL;
}

static const char *map_region(struct dr_region *region, size_t size) {
    int file = memfd_create("dynarec", MFD_CLOEXEC);
    if (file < 0)
        return strerror(errno);
    const char *error = map_views(region, file, size);
    close(file);
    return error;
}

#endif

static const char *write_batch(struct dr_region *region, const struct dr_staged *staged) {
    dr_copy_records(region->writable, staged->start, staged->end);
    return NULL;
}

static void unmap_region(struct dr_region *region) {
    munmap(region->run, region->size);
    munmap(region->writable, region->size);
}

const struct dr_policy dr_policy_dualmap = {
    "dualmap", DR_EXPECTED, map_region, write_batch, dr_flush_instructions, dr_read_directly, unmap_region,
};
