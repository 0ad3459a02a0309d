/* Host faults in generated code: the handler saves the registers that hold values and sends the thread to the exit stub. The run loop then
 * finds the guest instruction and lets the interpreter do it again, exactly; or, if there is none, says what went wrong. Faults
 * elsewhere go to who was there before.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "context.h"
#include "core.h"

#define SIGNAL_STACK_SIZE (64 * 1024)

/* What generated code can run into: guest memory, and, if it or a code pointer was tampered with, anything. */
static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
#define FAULT_SIGNALS (sizeof fault_signals / sizeof *fault_signals)
static struct sigaction previous[FAULT_SIGNALS];

#define KICK SIGURG /* ignored by default, and hardly used: sockets' urgent data */
static struct sigaction kick_before;
static pthread_mutex_t installing = PTHREAD_MUTEX_INITIALIZER;

/* The handler may run anywhere, also inside of malloc: its variables are there from a thread's beginning. */
#if defined(__linux__)
#define IN_EVERY_THREAD _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define IN_EVERY_THREAD _Thread_local
#endif
static IN_EVERY_THREAD struct dr_core *running;

/* The last fault that others were asked about: the instruction, and what it wanted. */
static IN_EVERY_THREAD struct passed_on {
    uint64_t pc;
    const void *address;
    bool raised; /* their handler has sent it again, to the handler that it found when it was installed */
} passed_on[FAULT_SIGNALS];

/* -- leaving soon ------------------------------------------------------------------------------------------------------ */

/* So much is taken from the budget that the next head finds too little. Nothing else is near it. */
#define HURRY (INT32_C(1) << 30)

static bool is_hurried(int64_t budget) {
    return budget < -HURRY / 2;
}

/* The signal has come to the CPU thread: generated code holds the budget in its register, if it has one for it. */
static void hurry(struct dr_core *core, void *context) {
    uint64_t pc = dr_context_pc(context), code = (uint64_t)core->code.run;
    bool holds = pc - code < core->code.size || pc - (uint64_t)dr_entered < (uint64_t)(dr_left - dr_entered);
    int64_t budget = holds ? dr_context_budget(context) : DR_BUDGET_IN_MEMORY;
    if (!core->in_code)
        core->hurried = true;
    else if (budget != DR_BUDGET_IN_MEMORY && !is_hurried(budget))
        dr_context_set_budget(context, (int32_t)budget - HURRY);
    else if (budget == DR_BUDGET_IN_MEMORY && !is_hurried(core->cpu.budget))
        core->cpu.budget -= HURRY;
}

static void on_kick(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    struct dr_core *core = running;
    bool due = core && atomic_load(&core->recorder.sample_due);
    if (due)
        dr_sampled(core, dr_context_pc(context));
    if (core && atomic_exchange(&core->kicked, false))
        hurry(core, context);
    else if (due)
        return;
    else if (kick_before.sa_flags & SA_SIGINFO)
        kick_before.sa_sigaction(number, info, context);
    else if (kick_before.sa_handler != SIG_DFL && kick_before.sa_handler != SIG_IGN)
        kick_before.sa_handler(number);
}

void dr_interrupt(struct dr_core *core) {
    atomic_store(&core->recorder.sample_due, true);
    (void)pthread_kill(core->thread, KICK);
}

void dr_kick(struct dr_core *core) {
    if (!atomic_exchange(&core->kicked, true))
        (void)pthread_kill(core->thread, KICK);
}

/* -- generated code ---------------------------------------------------------------------------------------------------- */

struct dr_core *dr_faults_expect(struct dr_core *core) {
    struct dr_core *before = running;
    running = core;
    return before;
}

void dr_run_code(struct dr_core *core, const void *entry) {
    core->cpu.fault_pc = 0;
    core->in_code = true;
    atomic_signal_fence(memory_order_seq_cst); /* the kick looks at both, and changes the budget */
    if (core->hurried)
        core->cpu.budget -= HURRY;
    dr_enter(core->cpu.state, entry);
    core->in_code = false;
    atomic_signal_fence(memory_order_seq_cst);
    while (is_hurried(core->cpu.budget)) /* twice, if it came right before the subtraction above */
        core->cpu.budget += HURRY;
}

/* The fault is in generated code, or where it jumped to, so the registers are as enter.S says. */
static void leave_generated_code(struct dr_core *core, int number, void *context) {
    for (unsigned i = 0; i < DR_HOST_REGISTERS; i++)
        core->fault_registers[i] = dr_context_register(context, i);
    int64_t budget = dr_context_budget(context);
    if (budget != DR_BUDGET_IN_MEMORY)
        core->cpu.budget = (int32_t)budget;
    core->cpu.fault_pc = dr_context_pc(context);
    core->fault_signal = number;
    dr_context_set_pc(context, (uint64_t)dr_exit_faulted);
}

static size_t index_of(int number) {
    size_t index = 0;
    while (fault_signals[index] != number)
        index++;
    return index;
}

/* Sent by somebody, not raised by an instruction. */
static bool is_sent(const siginfo_t *info) {
    return info->si_code <= 0;
}

/* An instruction that faulted runs again and meets the default action; a signal that was sent has to be sent again. */
static void die(int number, const siginfo_t *info) {
    (void)signal(number, SIG_DFL);
    if (is_sent(info))
        (void)raise(number);
}

/* Not ours. The handler before may not mend what is wrong, or send the signal on to the one that it found when it was
 * installed, which may be ours: when the same fault comes again, the default action follows. */
static void pass_on(int number, siginfo_t *info, void *context) {
    const struct sigaction *before = &previous[index_of(number)];
    struct passed_on *last = &passed_on[index_of(number)];
    uint64_t pc = dr_context_pc(context);
    bool again = last->raised || (last->pc == pc && (is_sent(info) || last->address == info->si_addr));
    last->pc = is_sent(info) ? 0 : pc;
    last->address = info->si_addr;
    if (again || (!(before->sa_flags & SA_SIGINFO) && (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN)))
        die(number, info);
    else if (before->sa_flags & SA_SIGINFO)
        before->sa_sigaction(number, info, context);
    else
        before->sa_handler(number);
    sigset_t pending;
    last->raised = !sigpending(&pending) && sigismember(&pending, number) == 1;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    struct dr_core *core = running;
    if (core && core->in_code && !is_sent(info) && dr_context_state(context) == core->cpu.state)
        leave_generated_code(core, number, context);
    else
        pass_on(number, info, context);
}

static bool is_ours(const struct sigaction *action) {
    return action->sa_flags & SA_SIGINFO && action->sa_sigaction == on_fault;
}

static const char *install_kick(void) {
    struct sigaction action = {.sa_sigaction = on_kick, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART}, now;
    sigemptyset(&action.sa_mask);
    if (sigaction(KICK, NULL, &now))
        return strerror(errno);
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_kick)
        return NULL;
    kick_before = now;
    return sigaction(KICK, &action, NULL) ? strerror(errno) : NULL;
}

static const char *install_all(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FAULT_SIGNALS; i++) {
        struct sigaction now;
        if (sigaction(fault_signals[i], NULL, &now))
            return strerror(errno);
        if (is_ours(&now))
            continue;
        previous[i] = now;
        if (sigaction(fault_signals[i], &action, NULL))
            return strerror(errno);
    }
    return install_kick();
}

/* Somebody else may have installed handlers since (Python's faulthandler does); theirs come after ours again. */
const char *dr_faults_install(void) {
    struct sigaction segv, bus;
    if (!sigaction(SIGSEGV, NULL, &segv) && is_ours(&segv) && !sigaction(SIGBUS, NULL, &bus) && is_ours(&bus))
        return NULL;
    pthread_mutex_lock(&installing);
    const char *error = install_all();
    pthread_mutex_unlock(&installing);
    return error;
}

void dr_faults_hold(bool hold) {
    (void)(hold ? pthread_mutex_lock(&installing) : pthread_mutex_unlock(&installing));
}

/* -- the stack of the handler, one for each CPU thread ----------------------------------------------------------------- */

static pthread_key_t stack_key;

static void free_stack(void *stack) {
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
    free(stack);
}

static void make_stack_key(void) {
    pthread_key_create(&stack_key, free_stack);
}

const char *dr_faults_thread(void) {
    stack_t now;
    if (sigaltstack(NULL, &now))
        return strerror(errno);
    if (!(now.ss_flags & SS_DISABLE))
        return NULL;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_stack_key);
    stack_t ours = {.ss_sp = malloc(SIGNAL_STACK_SIZE), .ss_size = SIGNAL_STACK_SIZE};
    if (!ours.ss_sp || sigaltstack(&ours, NULL))
        return "no memory for a signal stack";
    pthread_setspecific(stack_key, ours.ss_sp);
    return NULL;
}
