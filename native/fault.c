/* Host faults in generated code: the handler saves the home registers and sends the thread to the exit stub; the run loop then
 * finds the guest instruction and lets the interpreter do it again, exactly. Faults elsewhere go to who was there before.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "context.h"
#include "core.h"
#include "host.h"

#define MAX_CORES 64
#define SIGNAL_STACK_SIZE (64 * 1024)

static const int fault_signals[] = {SIGSEGV, SIGBUS};
#define FAULT_SIGNALS (sizeof fault_signals / sizeof *fault_signals)
static struct sigaction previous[FAULT_SIGNALS];
static struct dr_core *_Atomic cores[MAX_CORES];

static struct dr_core *core_of(uint64_t pc) {
    for (size_t i = 0; i < MAX_CORES; i++) {
        struct dr_core *core = atomic_load(&cores[i]);
        if (core && pc - (uint64_t)core->code.run < core->code.size)
            return core;
    }
    return NULL;
}

/* The fault is in generated code, so its registers are as enter.S says. */
static void leave_generated_code(struct dr_core *core, void *context) {
    for (unsigned i = 0; i < DR_HOST_HOMES; i++)
        core->fault_homes[i] = dr_context_home(context, i);
    int64_t budget = dr_context_budget(context);
    if (budget != DR_BUDGET_IN_MEMORY)
        core->cpu.budget = (int32_t)budget;
    core->cpu.fault_pc = dr_context_pc(context);
    dr_context_set_pc(context, (uint64_t)dr_exit_faulted);
}

static void pass_on(int number, siginfo_t *info, void *context) {
    const struct sigaction *before = &previous[number == SIGSEGV ? 0 : 1];
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
        (void)sigaction(number, before, NULL); /* the instruction runs again and meets the default */
    } else {
        before->sa_handler(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    struct dr_core *core = core_of(dr_context_pc(context));
    if (core && dr_context_state(context) == core->cpu.state)
        leave_generated_code(core, context);
    else
        pass_on(number, info, context);
}

const char *dr_faults_install(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FAULT_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(fault_signals[i], NULL, &now))
            return strerror(errno);
        if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
            continue;
        previous[i] = now;
        if (sigaction(fault_signals[i], &action, NULL))
            return strerror(errno);
    }
    return NULL;
}

const char *dr_faults_thread(void) {
    stack_t now;
    if (sigaltstack(NULL, &now))
        return strerror(errno);
    if (!(now.ss_flags & SS_DISABLE))
        return NULL;
    static _Thread_local char stack[SIGNAL_STACK_SIZE];
    stack_t ours = {.ss_sp = stack, .ss_size = sizeof stack};
    return sigaltstack(&ours, NULL) ? strerror(errno) : NULL;
}

void dr_faults_watch(struct dr_core *core) {
    for (size_t i = 0; i < MAX_CORES; i++) {
        struct dr_core *none = NULL;
        if (atomic_compare_exchange_strong(&cores[i], &none, core))
            return;
    }
    abort(); /* dr_create counts its cores */
}

void dr_faults_unwatch(struct dr_core *core) {
    for (size_t i = 0; i < MAX_CORES; i++) {
        struct dr_core *expected = core;
        if (atomic_compare_exchange_strong(&cores[i], &expected, NULL))
            return;
    }
}
