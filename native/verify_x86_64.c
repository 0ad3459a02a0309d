/* What may be installed on x86-64. Encodings are those of the Intel SDM, volume 2; what units look like is in
 * dynarec/host/x86_64.
 *
 * A unit is swept once. At each place one of the sequences (exit call, link, charge, lookup, count) is matched as a whole, or
 * else one plain instruction is decoded by the tables of opcodes below; bytes that are neither refuse the unit. Then every
 * branch must have gone to the start of one of these. What makes a unit end:
 *
 * - it charges the budget at its start, and only goes back, to what lies behind that, when it charges again; if it does not
 *   charge, it goes forward to exit calls;
 * - out of budget, it runs straight to the exit stub;
 * - what it gives back, once, is less than what it took; a link does that, in front of the exit call that it goes to, or a
 *   lookup, behind which it leaves.
 *
 * rsp and rbp are no operands of anything but a fixed offset from rbp, so nothing writes them.
 */
#include "verify.h"

#include <stddef.h>
#include <string.h>

#include "abi.h"

#define DR_VERIFY_MAX (UINT32_C(1) << 16) /* bytes of code */
#define MAX_CHARGE 4096
#define NOWHERE UINT32_MAX
#define BITS 64u

enum { SP = 4, BP = 5, NO_REGISTER = 16 };

/* Offsets from rbp, which points at `state`. */
#define OFFSET(member) ((int32_t)offsetof(struct dr_cpu, member) - (int32_t)offsetof(struct dr_cpu, state))
#define WORD 4
#define STATE_BYTES (DR_WORDS * WORD)
#define LOG2_SCALE 3u /* the slot of a target is where its low half says, times 8 */
#define MAX_LOOKUP 32 /* bytes */
_Static_assert(DR_JUMP_SLOTS * sizeof(struct dr_jump) == (size_t)1 << (16 + LOG2_SCALE), "the index of a lookup");
_Static_assert(offsetof(struct dr_jump, key) == 0, "a lookup compares the first word of a slot");
_Static_assert(OFFSET(exit) >= -128 && OFFSET(budget) >= -128 && OFFSET(jumps) > 127, "sizes of displacements");

struct sweep {
    const struct dr_candidate *unit;
    struct dr_refusal *refusal;
    uint32_t at, next; /* the present instruction, and the one behind it */
    struct dr_head head;
    uint32_t spent;    /* where the charge branches to when it is out of budget */
    uint32_t sought;   /* a target that is no start: the branch that goes there is to blame */
    bool leaving;      /* the way here is out of budget, or has given back */
    bool looked;       /* the last instruction began a lookup */
    bool left;         /* nothing runs on into the next instruction */
    /* A bit for each byte: an instruction or sequence starts there; a branch goes there; it is a link not yet found. */
    uint64_t starts[DR_VERIFY_MAX / BITS], targets[DR_VERIFY_MAX / BITS], links[DR_VERIFY_MAX / BITS];
};

static bool has(const uint64_t *bits, uint32_t at) {
    return bits[at / BITS] >> at % BITS & 1;
}

static void set(uint64_t *bits, uint32_t at) {
    bits[at / BITS] |= UINT64_C(1) << at % BITS;
}

/* Behind the end there are zeros: that an instruction is cut off is seen when its length is known. */
static uint8_t byte_at(const struct sweep *sweep, uint32_t at) {
    return at < sweep->unit->size ? sweep->unit->code[at] : 0;
}

static int32_t signed_at(const struct sweep *sweep, uint32_t at, unsigned size) {
    uint32_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)byte_at(sweep, at + i) << 8 * i;
    return size == 1 ? (int8_t)value : (int32_t)value;
}

static bool matches(const struct sweep *sweep, uint32_t at, const uint8_t *bytes, uint32_t size) {
    return size <= sweep->unit->size - at && memcmp(sweep->unit->code + at, bytes, size) == 0;
}

static bool refuse(const struct sweep *sweep, uint32_t at, const char *reason) {
    *sweep->refusal = (struct dr_refusal){at, reason};
    return false;
}

static const char UNKNOWN[] = "an instruction that units have no use for";
static const char CUT_OFF[] = "an instruction that is cut off";
static const char RESERVED[] = "a use of a register that is not the code's own";
static const char BAD_REFUND[] = "a refund of nothing, of too much, or of no less than was charged";
static const char LEAVES_LATE[] = "code that is out of budget and does not leave at once";

/* -- tables of instructions (SDM vol. 2, appendix A) ------------------------------------------------------------------ */

enum kind { NONE, PLAIN, OPCODE_REGISTER, MODRM, BRANCH, JUMP };

/* What the r/m operand may be; and what prefixes there may be. */
enum {
    IN_REGISTER = 1,
    STATE_LOAD = 2,
    STATE_STORE = 4,
    GUEST = 8,
    ADDRESS = 16, /* lea */
    HALF = 32,    /* 66: 16 bits, of guest memory */
    BYTE = 64,    /* byte registers: an empty REX makes 4 to 7 the low bytes of rsp to rdi */
};

/* immediate: its size in bytes. digits: the reg field is not a register but one of these /digits, a bit for each;
 * digits_memory: those whose r/m operand may be in memory. */
struct form {
    uint8_t kind, operands, immediate, digits, digits_memory;
};

#define TWICE(first, ...) [first] = __VA_ARGS__, [(first) + 1] = __VA_ARGS__
#define FOUR(first, ...) TWICE(first, __VA_ARGS__), TWICE((first) + 2, __VA_ARGS__)
#define EIGHT(first, ...) FOUR(first, __VA_ARGS__), FOUR((first) + 4, __VA_ARGS__)
#define SIXTEEN(first, ...) EIGHT(first, __VA_ARGS__), EIGHT((first) + 8, __VA_ARGS__)

#define DIGIT(number) (1u << (number))
#define CMP_DIGIT DIGIT(7)
#define ALU_DIGITS (DIGIT(0) | DIGIT(1) | DIGIT(4) | DIGIT(5) | DIGIT(6) | CMP_DIGIT) /* add or and sub xor cmp */
#define SHIFT_DIGITS (DIGIT(1) | DIGIT(4) | DIGIT(5) | DIGIT(7))                     /* ror shl shr sar */
#define PRODUCT_DIGITS (DIGIT(4) | DIGIT(5))                                         /* mul imul */
#define UNARY_DIGITS (DIGIT(3) | PRODUCT_DIGITS | DIGIT(6) | DIGIT(7))               /* neg, these, div idiv */

/* op r32, r32; op r32, state; op eax, imm32 */
#define ALU(row) \
    [(row) | 1] = {MODRM, IN_REGISTER, 0, 0, 0}, [(row) | 3] = {MODRM, STATE_LOAD, 0, 0, 0}, \
    [(row) | 5] = {PLAIN, 0, 4, 0, 0}

static const struct form one_byte[256] = {
    ALU(0x00), ALU(0x08), ALU(0x20), ALU(0x28), ALU(0x30),
    [0x39] = {MODRM, IN_REGISTER | STATE_LOAD, 0, 0, 0},                     /* cmp r/m32, r32 */
    [0x3b] = {MODRM, STATE_LOAD, 0, 0, 0},                                   /* cmp r32, m32 */
    [0x3d] = {PLAIN, 0, 4, 0, 0},                                            /* cmp eax, imm32 */
    [0x69] = {MODRM, IN_REGISTER | STATE_LOAD, 4, 0, 0},                     /* imul r32, r/m32, imm */
    [0x6b] = {MODRM, IN_REGISTER | STATE_LOAD, 1, 0, 0},
    SIXTEEN(0x70, {BRANCH, 0, 1, 0, 0}),                                     /* jcc rel8 */
    [0x81] = {MODRM, IN_REGISTER | STATE_LOAD, 4, ALU_DIGITS, CMP_DIGIT},    /* op r/m32, imm */
    [0x83] = {MODRM, IN_REGISTER | STATE_LOAD, 1, ALU_DIGITS, CMP_DIGIT},
    [0x85] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* test r32, r32 */
    [0x88] = {MODRM, GUEST | BYTE, 0, 0, 0},                                 /* mov m8, r8 */
    [0x89] = {MODRM, IN_REGISTER | STATE_STORE | GUEST | HALF, 0, 0, 0},     /* mov r/m32, r32; mov m16, r16 */
    [0x8b] = {MODRM, STATE_LOAD | GUEST, 0, 0, 0},                           /* mov r32, m32 */
    [0x8d] = {MODRM, ADDRESS, 0, 0, 0},                                      /* lea r32, m */
    [0x99] = {PLAIN, 0, 0, 0, 0},                                            /* cdq */
    EIGHT(0xb8, {OPCODE_REGISTER, 0, 4, 0, 0}),                              /* mov r32, imm32 */
    [0xc1] = {MODRM, IN_REGISTER, 1, SHIFT_DIGITS, 0},                       /* shift r32, imm8 */
    [0xc6] = {MODRM, GUEST, 1, DIGIT(0), DIGIT(0)},                          /* mov m8, imm8 */
    [0xc7] = {MODRM, STATE_STORE | GUEST | HALF, 4, DIGIT(0), DIGIT(0)},     /* mov m32, imm32; mov m16, imm16 */
    [0xd1] = {MODRM, IN_REGISTER, 0, SHIFT_DIGITS, 0},                       /* shift r32, 1 */
    [0xd3] = {MODRM, IN_REGISTER, 0, SHIFT_DIGITS, 0},                       /* shift r32, cl */
    [0xe9] = {JUMP, 0, 4, 0, 0},
    [0xeb] = {JUMP, 0, 1, 0, 0},
    [0xf7] = {MODRM, IN_REGISTER | STATE_LOAD, 0, UNARY_DIGITS, PRODUCT_DIGITS},
};

/* Behind 0f. */
static const struct form two_byte[256] = {
    SIXTEEN(0x40, {MODRM, IN_REGISTER | STATE_LOAD, 0, 0, 0}),               /* cmovcc r32, r/m32 */
    SIXTEEN(0x80, {BRANCH, 0, 4, 0, 0}),                                     /* jcc rel32 */
    SIXTEEN(0x90, {MODRM, IN_REGISTER | BYTE, 0, DIGIT(0), 0}),              /* setcc r8 */
    [0xaf] = {MODRM, IN_REGISTER | STATE_LOAD, 0, 0, 0},                     /* imul r32, r/m32 */
    [0xb6] = {MODRM, IN_REGISTER | STATE_LOAD | GUEST | BYTE, 0, 0, 0},      /* movzx r32, r/m8 */
    [0xb7] = {MODRM, IN_REGISTER | STATE_LOAD | GUEST, 0, 0, 0},             /* movzx r32, r/m16 */
    [0xbc] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* bsf r32, r32 */
    [0xbd] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* bsr r32, r32 */
    [0xbe] = {MODRM, IN_REGISTER | STATE_LOAD | GUEST | BYTE, 0, 0, 0},      /* movsx r32, r/m8 */
    [0xbf] = {MODRM, IN_REGISTER | STATE_LOAD | GUEST, 0, 0, 0},             /* movsx r32, r/m16 */
    EIGHT(0xc8, {OPCODE_REGISTER, 0, 0, 0, 0}),                              /* bswap r32 */
};

/* Behind 0f, with f3 before it. */
static const struct form counts[256] = {
    [0xb8] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* popcnt r32, r32 */
    [0xbc] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* tzcnt r32, r32 */
    [0xbd] = {MODRM, IN_REGISTER, 0, 0, 0},                                  /* lzcnt r32, r32 */
};
static const struct form no_form = {0};

/* -- one instruction -------------------------------------------------------------------------------------------------- */

enum {
    TWO_BYTES = 0x0f,
    SEGMENT = 0x65, /* gs: the window's base */
    SHORT_ADDRESS = 0x67,
    OPERAND_16 = 0x66,
    COUNT = 0xf3,
    EMPTY_REX = 0x40,
    REX_W = 0x48, /* only in exit calls and counts */
    VEX = 0xc4,
    CALL_OR_JUMP = 0xff,
};

/* The operands of one instruction, as its prefixes, ModRM and SIB say; `memory`: r/m is not a register. */
struct insn {
    const struct form *form;
    bool counts, half, guest, has_rex, memory, relative;
    uint8_t rex, opcode, mod, reg, rm, base, index;
    int32_t displacement;
};

static uint8_t take_byte(struct sweep *sweep) {
    return byte_at(sweep, sweep->next++);
}

static bool take_prefix(struct sweep *sweep, uint8_t prefix) {
    bool found = byte_at(sweep, sweep->next) == prefix;
    sweep->next += found;
    return found;
}

/* In the order in which the encoder puts them, each once: f3, 66, gs and 67 together, REX without W. */
static const char *take_prefixes(struct sweep *sweep, struct insn *insn) {
    insn->counts = take_prefix(sweep, COUNT);
    insn->half = take_prefix(sweep, OPERAND_16);
    insn->guest = take_prefix(sweep, SEGMENT);
    if (take_prefix(sweep, SHORT_ADDRESS) != insn->guest)
        return "an access with one of the two prefixes of guest memory";
    insn->has_rex = (byte_at(sweep, sweep->next) & 0xf8) == EMPTY_REX;
    insn->rex = insn->has_rex ? take_byte(sweep) & 7 : 0;
    return NULL;
}

static void take_opcode(struct sweep *sweep, struct insn *insn) {
    insn->opcode = take_byte(sweep);
    insn->form = insn->counts ? &no_form : &one_byte[insn->opcode];
    if (insn->opcode == TWO_BYTES) {
        insn->opcode = take_byte(sweep);
        insn->form = insn->counts ? &counts[insn->opcode] : &two_byte[insn->opcode];
    }
}

/* SDM vol. 2, table 2-3 */
static void take_sib(struct sweep *sweep, struct insn *insn) {
    uint8_t sib = take_byte(sweep), index = (uint8_t)((sib >> 3 & 7) | (insn->rex & 2) << 2);
    insn->index = index == SP ? NO_REGISTER : index;
    insn->base = (uint8_t)((sib & 7) | (insn->rex & 1) << 3);
    if (insn->mod == 0 && (sib & 7) == BP) {
        insn->base = NO_REGISTER;
        insn->displacement = signed_at(sweep, sweep->next, 4);
        sweep->next += 4;
    }
}

/* SDM vol. 2, table 2-2; the numbers 4 and 5 mean a SIB byte and "no base" whatever REX says. */
static void take_memory(struct sweep *sweep, struct insn *insn) {
    unsigned size = insn->mod == 1 ? 1 : insn->mod == 2 ? 4 : 0;
    insn->base = insn->rm;
    insn->index = NO_REGISTER;
    insn->relative = insn->mod == 0 && (insn->rm & 7) == BP;
    if ((insn->rm & 7) == SP)
        take_sib(sweep, insn);
    if (insn->relative)
        size = 4;
    if (size)
        insn->displacement = signed_at(sweep, sweep->next, size);
    sweep->next += size;
}

static void take_modrm(struct sweep *sweep, struct insn *insn) {
    uint8_t modrm = take_byte(sweep);
    insn->mod = modrm >> 6;
    insn->reg = (modrm >> 3 & 7) | (insn->form->digits ? 0 : (insn->rex & 4) << 1);
    insn->rm = (uint8_t)((modrm & 7) | (insn->rex & 1) << 3);
    insn->memory = insn->mod != 3;
    if (insn->memory)
        take_memory(sweep, insn);
}

static bool is_reserved(uint8_t number) {
    return number == SP || number == BP;
}

/* A word of the guest's registers; for stores also `pc`. */
static const char *check_state(const struct insn *insn) {
    bool stores = insn->form->operands & STATE_STORE, loads = insn->form->operands & STATE_LOAD;
    int32_t offset = insn->displacement;
    if (!stores && !loads)
        return "an access to memory that is neither the guest's window nor the CPU state";
    if (offset % WORD == 0 && offset >= 0 && offset < STATE_BYTES)
        return NULL;
    if (loads)
        return "a load from the CPU state outside of the guest's registers";
    return offset == OFFSET(pc) ? NULL : "a store to the CPU state outside of the guest's registers";
}

static const char *check_memory(const struct insn *insn) {
    bool of_state = insn->base == BP && insn->index == NO_REGISTER;
    if (insn->relative)
        return "an address relative to the instruction";
    if (insn->guest && !(insn->form->operands & GUEST))
        return "an instruction that does not access guest memory";
    if (insn->form->operands & ADDRESS || insn->guest)
        return is_reserved(insn->base) || is_reserved(insn->index) ? RESERVED : NULL;
    return of_state ? check_state(insn) : "an access to memory that is neither the guest's window nor the CPU state";
}

static const char *check_modrm(const struct insn *insn) {
    const struct form *form = insn->form;
    unsigned digits = insn->memory ? form->digits_memory : form->digits;
    if (form->digits && !(digits >> insn->reg & 1))
        return UNKNOWN;
    if (!form->digits && is_reserved(insn->reg))
        return RESERVED;
    if (insn->memory)
        return check_memory(insn);
    if (!(form->operands & IN_REGISTER) || insn->guest)
        return UNKNOWN;
    return is_reserved(insn->rm) ? RESERVED : NULL;
}

static const char *check_prefixes(const struct insn *insn) {
    bool of_bytes = insn->form->operands & BYTE;
    if (insn->half && !(insn->guest && insn->form->operands & HALF))
        return "an operand size that units have no use for";
    if (insn->has_rex && !insn->rex && !of_bytes)
        return "a prefix without effect";
    return NULL;
}

static const char *take_operands(struct sweep *sweep, struct insn *insn) {
    const struct form *form = insn->form;
    if (form->kind == MODRM)
        take_modrm(sweep, insn);
    sweep->next += insn->half && form->immediate == 4 ? 2 : form->immediate;
    if (sweep->next > sweep->unit->size)
        return CUT_OFF;
    if (form->kind == MODRM)
        return check_modrm(insn);
    if (insn->guest || insn->half)
        return UNKNOWN;
    if (form->kind != OPCODE_REGISTER)
        return insn->has_rex ? UNKNOWN : NULL;
    return is_reserved((uint8_t)((insn->opcode & 7) | (insn->rex & 1) << 3)) ? RESERVED : NULL;
}

/* The BMI2 shifts and andn in registers (SDM vol. 2, 2.3.5): map and opcode, pp; for rorx, vvvv is none and an immediate
 * follows. */
enum { VEX_NOT_R = 0x80, VEX_NOT_X = 0x40, VEX_NOT_B = 0x20, VEX_MAP = 0x1f, VEX_W_OR_L = 0x84, VEX_PP = 3, VEX_F2 = 3 };
enum { SHIFTS_MAP = 2, SHIFTS = 0xf7, ANDN = 0xf2, RORX_MAP = 3, RORX = 0xf0, NO_VVVV = 15 };

static const char *take_vex(struct sweep *sweep) {
    enum { SHIFTS_SIZE = 5, RORX_SIZE = 6 };
    uint8_t high = byte_at(sweep, sweep->at + 1), low = byte_at(sweep, sweep->at + 2);
    uint8_t opcode = byte_at(sweep, sweep->at + 3), modrm = byte_at(sweep, sweep->at + 4);
    uint8_t map = high & VEX_MAP, second = low >> 3 & 15; /* inverted */
    bool rotates = map == RORX_MAP && opcode == RORX && (low & VEX_PP) == VEX_F2 && second == NO_VVVV;
    bool shifts = map == SHIFTS_MAP && opcode == SHIFTS && (low & VEX_PP);
    bool inverts = map == SHIFTS_MAP && opcode == ANDN && !(low & VEX_PP);
    if ((!rotates && !shifts && !inverts) || !(high & VEX_NOT_X) || low & VEX_W_OR_L || modrm >> 6 != 3)
        return UNKNOWN;
    sweep->next = sweep->at + (rotates ? RORX_SIZE : SHIFTS_SIZE);
    bool reserved = (high & VEX_NOT_R && is_reserved(modrm >> 3 & 7)) || (high & VEX_NOT_B && is_reserved(modrm & 7)) ||
                    is_reserved(second ^ 15);
    return sweep->next > sweep->unit->size ? CUT_OFF : reserved ? RESERVED : NULL;
}

/* -- branches --------------------------------------------------------------------------------------------------------- */

/* lea rax, [behind]; jmp [rbp + exit]; behind: */
static const uint8_t exit_call[] = {REX_W, 0x8d, 0x05, 3, 0, 0, 0, CALL_OR_JUMP, 0x65, (uint8_t)OFFSET(exit)};

/* A jump goes forward in one byte: nothing emits a longer one. */
static const char *check_branch(const struct sweep *sweep, const struct form *form, uint32_t target) {
    if (sweep->leaving)
        return LEAVES_LATE;
    if (form->kind == JUMP && form->immediate != 1)
        return "a long jump that is no link";
    return target > sweep->at ? NULL : "a branch back that does not charge";
}

static const char *note_target(struct sweep *sweep, uint32_t target) {
    if (target >= sweep->unit->size)
        return "a branch out of the unit";
    if (target == sweep->sought)
        return "a branch into the middle of an instruction or a sequence";
    set(sweep->targets, target);
    return NULL;
}

static const char *take_branch(struct sweep *sweep, const struct form *form) {
    uint32_t target = sweep->next + (uint32_t)signed_at(sweep, sweep->next - form->immediate, form->immediate);
    const char *reason = check_branch(sweep, form, target);
    sweep->left = form->kind == JUMP;
    return reason ? reason : note_target(sweep, target);
}

/* -- sequences -------------------------------------------------------------------------------------------------------- */

static const char *take_exit(struct sweep *sweep) {
    if (!matches(sweep, sweep->at, exit_call, sizeof exit_call))
        return UNKNOWN;
    sweep->next = sweep->at + sizeof exit_call;
    sweep->left = true;
    sweep->leaving = false;
    return NULL;
}

enum { ALU_IMM32 = 0x81, ALU_IMM8 = 0x83, MODRM_BP8 = 0x45, ADD = 0, SUB = 5, JS = 0x88, JNS = 0x89, JNS_SHORT = 0x79 };
enum { JS_SIZE = 6, JNS_SHORT_SIZE = 2 };

/* The /digit of an operation on the budget with an immediate; -1 if the instruction is none. */
static int budget_digit(const struct sweep *sweep) {
    uint8_t modrm = byte_at(sweep, sweep->at + 1);
    bool is_one = (modrm & 0xc7) == MODRM_BP8 && byte_at(sweep, sweep->at + 2) == (uint8_t)OFFSET(budget);
    return is_one ? modrm >> 3 & 7 : -1;
}

static int32_t take_amount(struct sweep *sweep) {
    enum { OPERANDS_SIZE = 3 };
    unsigned size = byte_at(sweep, sweep->at) == ALU_IMM8 ? 1 : 4;
    sweep->next = sweep->at + OPERANDS_SIZE + size;
    return signed_at(sweep, sweep->next - size, size);
}

/* jcc rel32 with that condition, or, if `shorter` is no 0, that jcc rel8; where it goes. */
static bool take_condition(struct sweep *sweep, uint8_t longer, uint8_t shorter, uint32_t *target) {
    const uint8_t bytes[] = {TWO_BYTES, longer};
    bool is_short = shorter && byte_at(sweep, sweep->next) == shorter;
    if (sweep->next >= sweep->unit->size || !(is_short || matches(sweep, sweep->next, bytes, sizeof bytes)))
        return false;
    sweep->next += is_short ? JNS_SHORT_SIZE : JS_SIZE;
    *target = sweep->next + (uint32_t)signed_at(sweep, sweep->next - (is_short ? 1 : 4), is_short ? 1 : 4);
    return true;
}

static const char *take_charge(struct sweep *sweep, int32_t amount) {
    if (amount < 1 || amount > MAX_CHARGE)
        return "a charge of nothing or of too much";
    if (!take_condition(sweep, JS, 0, &sweep->spent))
        return "a charge that does not branch when it is out of budget";
    if (sweep->next > sweep->unit->size)
        return CUT_OFF;
    sweep->head = (struct dr_head){(uint32_t)amount, sweep->next};
    return sweep->spent > sweep->at ? note_target(sweep, sweep->spent) : "a charge that branches back";
}

/* The only way back. */
static const char *take_round(struct sweep *sweep, int32_t amount) {
    uint32_t target;
    if (!sweep->head.charge)
        return "a charge that is not at the start";
    if (sweep->leaving)
        return LEAVES_LATE;
    if (amount < 1 || (uint32_t)amount > sweep->head.charge)
        return "a round that takes nothing, or more than a whole one";
    if (!take_condition(sweep, JNS, JNS_SHORT, &target))
        return "a round that begins whatever the budget has";
    if (sweep->next > sweep->unit->size)
        return CUT_OFF;
    sweep->leaving = true;
    return target >= sweep->head.body && target <= sweep->at ? note_target(sweep, target)
                                                            : "a round that does not begin behind the charge";
}

/* As it is until it is linked: add [budget], refund; jmp behind. Or a jump, and a nop in the room that is left. */
static const char *take_link(struct sweep *sweep) {
    uint8_t refund = byte_at(sweep, sweep->at + 3);
    const uint8_t gives[] = {ALU_IMM8, MODRM_BP8, (uint8_t)OFFSET(budget), refund, EMPTY_REX, 0xe9, 0, 0, 0, 0};
    static const uint8_t only_goes[sizeof gives] = {0xe9, 5, 0, 0, 0, TWO_BYTES, 0x1f, 0x44, 0, 0};
    bool is_refund = matches(sweep, sweep->at, gives, sizeof gives);
    if (!is_refund && !matches(sweep, sweep->at, only_goes, sizeof only_goes))
        return "a link that is not as links are before they are linked";
    sweep->next = sweep->at + sizeof gives;
    sweep->links[sweep->at / BITS] &= ~(UINT64_C(1) << sweep->at % BITS);
    if (!matches(sweep, sweep->next, exit_call, sizeof exit_call))
        return "a link that does not go to an exit call";
    if (!sweep->head.charge)
        return "a link where the budget was not charged";
    if (sweep->leaving)
        return LEAVES_LATE;
    bool good = !is_refund || (refund && refund <= DR_MAX_REFUND && refund < sweep->head.charge);
    return good ? NULL : BAD_REFUND;
}

enum { MOVZX16 = 0xb7 };

/* The bytes of a lookup, made as dynarec/host/x86_64/emit.py makes them. */
struct bytes {
    uint32_t size;
    uint8_t at[MAX_LOOKUP];
};

static void put(struct bytes *bytes, unsigned byte) {
    bytes->at[bytes->size++] = (uint8_t)byte;
}

static void put_word(struct bytes *bytes, uint32_t word) {
    for (unsigned i = 0; i < WORD; i++)
        put(bytes, word >> 8 * i & 0xff);
}

static void put_rex(struct bytes *bytes, unsigned reg, unsigned index, unsigned base) {
    unsigned rex = reg >> 3 << 2 | index >> 3 << 1 | base >> 3;
    if (rex)
        put(bytes, EMPTY_REX | rex);
}

/* opcode reg, [rbp + index * 8 + displacement] */
static void put_slot(struct bytes *bytes, unsigned opcode, unsigned reg, unsigned index, int32_t member) {
    enum { SIB_DISP32 = 0x84 };
    put_rex(bytes, reg, index, 0);
    put(bytes, opcode);
    put(bytes, SIB_DISP32 | (reg & 7) << 3);
    put(bytes, LOG2_SCALE << 6 | (index & 7) << 3 | BP);
    put_word(bytes, (uint32_t)(OFFSET(jumps) + member));
}

/* cmp target, slot.key; jne behind; jmp slot.entry */
static struct bytes compare_and_jump(unsigned target, unsigned index) {
    enum { CMP = 0x3b, JNE_SHORT = 0x75, JUMP_DIGIT = 4 };
    struct bytes bytes = {.size = 0};
    put_slot(&bytes, CMP, target, index, offsetof(struct dr_jump, key));
    put(&bytes, JNE_SHORT);
    uint32_t distance = bytes.size;
    put(&bytes, 0);
    put_slot(&bytes, CALL_OR_JUMP, JUMP_DIGIT, index, offsetof(struct dr_jump, entry));
    bytes.at[distance] = (uint8_t)(bytes.size - distance - 1);
    return bytes;
}

/* Only movzx index, the low half of the target, in registers, can begin a lookup. */
static const char *take_lookup(struct sweep *sweep, const struct insn *insn) {
    if (insn->form != &two_byte[MOVZX16] || insn->memory || insn->reg == insn->rm)
        return NULL;
    struct bytes bytes = compare_and_jump(insn->rm, insn->reg);
    if (!matches(sweep, sweep->next, bytes.at, bytes.size))
        return NULL;
    if (!sweep->head.charge)
        return "a lookup where the budget was not charged";
    if (sweep->leaving)
        return LEAVES_LATE;
    sweep->next += bytes.size;
    sweep->looked = true;
    return NULL;
}

/* -- the sweep -------------------------------------------------------------------------------------------------------- */

static const char *take_insn(struct sweep *sweep) {
    struct insn insn = {0};
    const char *reason = take_prefixes(sweep, &insn);
    if (reason)
        return reason;
    take_opcode(sweep, &insn);
    if (insn.form->kind == NONE)
        return UNKNOWN;
    reason = take_operands(sweep, &insn);
    if (!reason)
        reason = check_prefixes(&insn);
    if (reason)
        return reason;
    return insn.form->kind == BRANCH || insn.form->kind == JUMP ? take_branch(sweep, insn.form) : take_lookup(sweep, &insn);
}

/* In front of a lookup: where that finds nothing, the unit is left. */
static const char *take_refund(struct sweep *sweep) {
    int32_t amount = take_amount(sweep);
    if (sweep->leaving)
        return LEAVES_LATE;
    if (amount < 1 || (uint32_t)amount >= sweep->head.charge)
        return BAD_REFUND;
    sweep->looked = false;
    const char *reason = take_insn(sweep);
    if (!sweep->looked)
        return "a refund that is neither a link's nor a lookup's";
    sweep->leaving = true;
    return reason;
}

/* inc qword [rbp + counter] */
static const char *take_count(struct sweep *sweep) {
    enum { SIZE = 7, COUNTER = sizeof(uint64_t), END = DR_COUNTERS * COUNTER };
    int32_t place = signed_at(sweep, sweep->at + SIZE - WORD, WORD) - OFFSET(counters);
    sweep->next = sweep->at + SIZE;
    if (sweep->next > sweep->unit->size)
        return CUT_OFF;
    return place >= 0 && place < END && place % COUNTER == 0 ? NULL : "a count outside of the counters";
}

static const char *take_wide(struct sweep *sweep) {
    static const uint8_t count[] = {REX_W, CALL_OR_JUMP, 0x85};
    return matches(sweep, sweep->at, count, sizeof count) ? take_count(sweep) : take_exit(sweep);
}

static const char *take(struct sweep *sweep) {
    uint8_t first = byte_at(sweep, sweep->at);
    if (has(sweep->links, sweep->at))
        return take_link(sweep);
    if (first == REX_W)
        return take_wide(sweep);
    if (first == CALL_OR_JUMP)
        return "an indirect call or jump that is neither exit call nor lookup";
    if (first == VEX)
        return take_vex(sweep);
    int digit = first == ALU_IMM8 || first == ALU_IMM32 ? budget_digit(sweep) : -1;
    if (digit == ADD)
        return take_refund(sweep);
    if (digit != SUB)
        return take_insn(sweep);
    int32_t amount = take_amount(sweep);
    return sweep->at ? take_round(sweep, amount) : take_charge(sweep, amount);
}

static bool sweep_code(struct sweep *sweep) {
    for (uint32_t at = 0; at < sweep->unit->size; at = sweep->next) {
        sweep->at = sweep->next = at;
        sweep->left = false;
        sweep->leaving |= at == sweep->spent;
        set(sweep->starts, at);
        const char *reason = take(sweep);
        if (reason)
            return refuse(sweep, at, reason);
    }
    return sweep->left || refuse(sweep, sweep->at, "code that runs off its end");
}

static uint32_t words_of(const struct dr_candidate *unit) {
    return (unit->size + BITS - 1) / BITS;
}

/* Of the bits, clears those that the code has: no others are looked at. */
static void prepare(struct sweep *sweep, const struct dr_candidate *unit, struct dr_refusal *refusal, uint32_t sought) {
    size_t size = words_of(unit) * sizeof *sweep->starts;
    memset(sweep, 0, offsetof(struct sweep, starts));
    sweep->unit = unit;
    sweep->refusal = refusal;
    sweep->spent = NOWHERE;
    sweep->sought = sought;
    memset(sweep->starts, 0, size);
    memset(sweep->targets, 0, size);
    memset(sweep->links, 0, size);
}

static bool note_links(struct sweep *sweep) {
    for (uint32_t i = 0; i < sweep->unit->link_count; i++) {
        uint32_t at = sweep->unit->links[i];
        if (at >= sweep->unit->size)
            return refuse(sweep, at, "a link that lies outside the unit");
        if (has(sweep->links, at))
            return refuse(sweep, at, "a link twice");
        set(sweep->links, at);
    }
    return true;
}

static bool check_links(const struct sweep *sweep) {
    for (uint32_t i = 0; i < sweep->unit->link_count; i++)
        if (has(sweep->links, sweep->unit->links[i]))
            return refuse(sweep, sweep->unit->links[i], "a link inside of an instruction");
    return true;
}

/* A target where nothing starts; NOWHERE if there is none. */
static uint32_t bad_target(const struct sweep *sweep) {
    for (uint32_t i = 0; i < words_of(sweep->unit); i++) {
        uint64_t bad = sweep->targets[i] & ~sweep->starts[i];
        for (uint32_t bit = 0; bad; bit++, bad >>= 1)
            if (bad & 1)
                return i * BITS + bit;
    }
    return NOWHERE;
}

/* sought: as in the sweep. */
static bool sweep_unit(struct sweep *sweep, const struct dr_candidate *unit, struct dr_refusal *refusal, uint32_t sought) {
    prepare(sweep, unit, refusal, sought);
    return note_links(sweep) && sweep_code(sweep) && check_links(sweep);
}

bool dr_verify_x86_64(const struct dr_candidate *candidate, struct dr_head *head, struct dr_refusal *refusal) {
    struct sweep sweep;
    sweep.refusal = refusal;
    if (candidate->size == 0)
        return refuse(&sweep, 0, "a unit without code");
    if (candidate->size > DR_VERIFY_MAX)
        return refuse(&sweep, 0, "a unit that is too long");
    if (!sweep_unit(&sweep, candidate, refusal, NOWHERE))
        return false;
    *head = sweep.head;
    uint32_t bad = bad_target(&sweep);
    return bad == NOWHERE || sweep_unit(&sweep, candidate, refusal, bad);
}
