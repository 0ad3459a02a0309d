/* The JIT interface of gdb and lldb (gdb manual, "JIT Compilation Interface"): a debugger finds the two symbols below by
 * their names, stops whenever the function is called, and reads the list.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* The linker of the process must not join them with those of other compilers in it, which have other locks. */
#ifdef __ELF__
#define FOUND_BY_NAME __attribute__((visibility("protected")))
#else
#define FOUND_BY_NAME __attribute__((visibility("default")))
#endif

enum jit_actions { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const uint8_t *symfile_addr;
    uint64_t symfile_size;
};

struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag; /* enum jit_actions */
    struct jit_code_entry *relevant_entry, *first_entry;
};

FOUND_BY_NAME extern struct jit_descriptor __jit_debug_descriptor;
FOUND_BY_NAME void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = {.version = 1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) void __jit_debug_register_code(void) {
    __asm__ volatile("" ::: "memory");
}

static void tell(struct jit_code_entry *entry, enum jit_actions action) {
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
}

void *dr_gdb_register(const uint8_t *file, uint64_t size) {
    struct jit_code_entry *entry = malloc(sizeof *entry + size);
    if (!entry)
        return NULL;
    uint8_t *copy = (uint8_t *)(entry + 1);
    memcpy(copy, file, size);
    pthread_mutex_lock(&lock);
    *entry = (struct jit_code_entry){__jit_debug_descriptor.first_entry, NULL, copy, size};
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry;
    __jit_debug_descriptor.first_entry = entry;
    tell(entry, JIT_REGISTER_FN);
    pthread_mutex_unlock(&lock);
    return entry;
}

void dr_gdb_unregister(void *registered) {
    struct jit_code_entry *entry = registered;
    pthread_mutex_lock(&lock);
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry->prev_entry;
    if (entry->prev_entry)
        entry->prev_entry->next_entry = entry->next_entry;
    else
        __jit_debug_descriptor.first_entry = entry->next_entry;
    tell(entry, JIT_UNREGISTER_FN);
    pthread_mutex_unlock(&lock);
    free(entry);
}

uint64_t dr_entry_address(void) {
    return (uint64_t)(uintptr_t)dr_entered;
}
