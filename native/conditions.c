#include "conditions.h"

#include "interp.h"

/* -- the ops ---------------------------------------------------------------------------------------------------------- */

typedef uint32_t dr_unary(uint32_t a);
typedef uint32_t dr_binary(uint32_t a, uint32_t b);

static dr_unary *const unary[DR_OPS] = {
    [DR_OP_SEXT8] = dr_op_sext8, [DR_OP_SEXT16] = dr_op_sext16, [DR_OP_ZEXT8] = dr_op_zext8, [DR_OP_ZEXT16] = dr_op_zext16,
};

static dr_binary *const binary[DR_OPS] = {
    [DR_OP_ADD] = dr_op_add,   [DR_OP_SUB] = dr_op_sub,   [DR_OP_MUL] = dr_op_mul,   [DR_OP_DIVU] = dr_op_divu,
    [DR_OP_DIVS] = dr_op_divs, [DR_OP_REMU] = dr_op_remu, [DR_OP_REMS] = dr_op_rems, [DR_OP_AND] = dr_op_and,
    [DR_OP_OR] = dr_op_or,     [DR_OP_XOR] = dr_op_xor,   [DR_OP_SHL] = dr_op_shl,   [DR_OP_SHR] = dr_op_shr,
    [DR_OP_SAR] = dr_op_sar,   [DR_OP_EQ] = dr_op_eq,     [DR_OP_NE] = dr_op_ne,     [DR_OP_LTU] = dr_op_ltu,
    [DR_OP_GEU] = dr_op_geu,   [DR_OP_LTS] = dr_op_lts,   [DR_OP_GES] = dr_op_ges,
};

static bool is_load(uint32_t op) {
    return op == DR_OP_LOAD8 || op == DR_OP_LOAD16 || op == DR_OP_LOAD32;
}

static bool is_skip(uint32_t op) {
    return op == DR_OP_SKIP || op == DR_OP_SKIP_IF_ZERO;
}

static bool asks_for_access(uint32_t op) {
    return op == DR_OP_ADDRESS || op == DR_OP_SIZE || op == DR_OP_VALUE || op == DR_OP_CHANGES;
}

static bool divides(uint32_t op) {
    return op == DR_OP_DIVU || op == DR_OP_DIVS || op == DR_OP_REMU || op == DR_OP_REMS;
}

/* -- checking --------------------------------------------------------------------------------------------------------- */

#define NEVER (-1)

/* The words that an op takes from the stack. */
static int taken(uint32_t op) {
    if (binary[op])
        return 2;
    return unary[op] || is_load(op) || op == DR_OP_SKIP_IF_ZERO ? 1 : 0;
}

static bool reach(int *depths, uint32_t place, int depth) {
    bool same = depths[place] == NEVER || depths[place] == depth;
    depths[place] = depth;
    return same;
}

static const char *insn_problem(const struct dr_insn *insn, uint32_t behind, bool of_access) {
    if (insn->op >= DR_OPS)
        return "a condition has an operation that there is not";
    if (asks_for_access(insn->op) && !of_access)
        return "a condition asks for an access where there is none";
    if (insn->op == DR_OP_REGISTER && insn->number >= DR_STATE_WORDS)
        return "a condition asks for a register that there is not";
    return is_skip(insn->op) && insn->number > behind ? "a condition goes on behind its end" : NULL;
}

/* Follows one instruction: how deep the stack is where it leads to. */
static const char *follow(const struct dr_insn *insn, uint32_t at, int *depths) {
    int left = depths[at] - taken(insn->op), depth = left + !is_skip(insn->op);
    if (depths[at] == NEVER)
        return "a condition has an instruction that nothing leads to";
    if (left < 0)
        return "a condition takes from an empty stack";
    if (depth > DR_CONDITION_STACK)
        return "a condition is too deeply nested";
    bool good = !is_skip(insn->op) || reach(depths, at + 1 + insn->number, depth);
    if (insn->op != DR_OP_SKIP)
        good = reach(depths, at + 1, depth) && good;
    return good ? NULL : "a condition comes to a place with stacks that differ";
}

const char *dr_condition_problem(const struct dr_condition *condition, bool of_access) {
    int depths[DR_CONDITION_SIZE + 1] = {0};
    const char *problem = NULL;
    if (condition->count > DR_CONDITION_SIZE)
        return "a condition is too long";
    for (uint32_t i = 1; i <= condition->count; i++)
        depths[i] = NEVER;
    for (uint32_t i = 0; !problem && i < condition->count; i++) {
        problem = insn_problem(&condition->insns[i], condition->count - i - 1, of_access);
        if (!problem)
            problem = follow(&condition->insns[i], i, depths);
    }
    return problem || depths[condition->count] == 1 ? problem : "a condition does not leave one value";
}

bool dr_condition_equals(const struct dr_condition *one, const struct dr_condition *other) {
    return one->count == other->count && !memcmp(one->insns, other->insns, one->count * sizeof *one->insns);
}

/* -- running ---------------------------------------------------------------------------------------------------------- */

/* What a program is asked about. */
struct question {
    struct dr_core *core;
    uint64_t start, end;
    const struct dr_hit *hit;
};

/* Whether the host lets the guest's memory be read as it is. */
static bool is_open(const struct dr_memory *memory, uint32_t address, uint32_t size) {
    return dr_memory_allows(memory, address, size, DR_READ) && dr_memory_is_fast(memory, address, size, DR_SLOW_READ);
}

/* What the guest may not read is read too. false: it is not mapped, or a device. */
static bool load(struct dr_core *core, uint32_t address, uint32_t size, uint32_t *value) {
    struct dr_memory *memory = &core->memory;
    *value = 0;
    if (dr_memory_check(memory, address, size, 0) >= 0)
        return false;
    if (is_open(memory, address, size)) {
        memcpy(value, memory->base + address, size);
        return true;
    }
    dr_lock_tables(core); /* other threads read guest memory */
    bool good = !dr_memory_read(memory, address, value, size);
    dr_unlock_tables(core);
    return good;
}

static bool is_write(const struct question *question) {
    return question->hit->kinds == UINT32_C(1) << DR_HOOK_WRITE;
}

/* What is about to be written, or is there to be read. */
static bool value_of(const struct question *question, uint32_t *value) {
    const struct dr_hit *hit = question->hit;
    *value = hit->value;
    return is_write(question) || load(question->core, hit->address, hit->size, value);
}

/* Whether a write makes the bytes of the hook that it reaches other ones. */
static bool changes(const struct question *question, uint32_t *value) {
    const struct dr_hit *hit = question->hit;
    uint64_t end = (uint64_t)hit->address + hit->size, from = hit->address;
    *value = 0;
    if (!is_write(question))
        return true;
    from = from > question->start ? from : question->start;
    end = end < question->end ? end : question->end;
    uint32_t old, size = (uint32_t)(end - from), mask = UINT32_MAX >> (32 - 8 * size);
    if (!load(question->core, (uint32_t)from, size, &old))
        return false;
    *value = ((hit->value >> 8 * (from - hit->address)) & mask) != old;
    return true;
}

/* The word that an op without operands pushes. */
static bool leaf(const struct question *question, const struct dr_insn *insn, uint32_t *value) {
    const struct dr_cpu *cpu = &question->core->cpu;
    switch ((enum dr_op)insn->op) {
    case DR_OP_REGISTER:
        *value = cpu->state[insn->number];
        return true;
    case DR_OP_PC:
        *value = cpu->pc;
        return true;
    case DR_OP_ADDRESS:
        *value = question->hit->address;
        return true;
    case DR_OP_SIZE:
        *value = question->hit->size;
        return true;
    case DR_OP_VALUE:
        return value_of(question, value);
    case DR_OP_CHANGES:
        return changes(question, value);
    default:
        *value = insn->number;
        return true;
    }
}

static bool operate(const struct question *question, const struct dr_insn *insn, uint32_t *operands) {
    uint32_t op = insn->op;
    if (binary[op]) {
        if (divides(op) && !operands[1])
            return false;
        operands[0] = binary[op](operands[0], operands[1]);
    } else if (unary[op]) {
        operands[0] = unary[op](operands[0]);
    } else if (is_load(op)) {
        return load(question->core, operands[0], UINT32_C(1) << (op - DR_OP_LOAD8), operands);
    } else {
        return leaf(question, insn, operands);
    }
    return true;
}

bool dr_condition_holds(struct dr_core *core, const struct dr_condition *condition, uint64_t start, uint64_t end,
                        const struct dr_hit *hit) {
    const struct question question = {core, start, end, hit};
    uint32_t stack[DR_CONDITION_STACK], *top = stack; /* behind the last word */
    for (uint32_t i = 0; i < condition->count; i++) {
        const struct dr_insn *insn = &condition->insns[i];
        top -= taken(insn->op);
        if (is_skip(insn->op))
            i += insn->op == DR_OP_SKIP || !*top ? insn->number : 0;
        else if (!operate(&question, insn, top++))
            return true;
    }
    return stack[0];
}
