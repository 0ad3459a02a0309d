/* What may be installed on arm64. Encodings are those of the Arm ARM, C4.1; what units look like is in dynarec/host/arm64.
 *
 * A unit is swept once, word by word. At each place one of the sequences below is matched as a whole, or else one plain
 * instruction; a word that is neither refuses the unit. Then every branch is followed to its target. What makes a unit end:
 *
 * - it charges the budget at its start, and only goes back, to what lies behind that, when it charges again; if it does not
 *   charge, it goes forward to exit calls;
 * - out of budget, it runs straight to the exit stub;
 * - what it gives back, once, is less than what it took; a link does that, in front of the exit call that it goes to.
 *
 * x25 is the window's base plus a 32-bit number: dr_enter makes it so, and one instruction alone writes it.
 */
#include "verify.h"

#include <string.h>

#include "abi.h"
#include "memory.h"

#define DR_VERIFY_MAX (UINT32_C(1) << 16) /* bytes of code */
#define WORD 4u
#define MAX_WORDS (DR_VERIFY_MAX / WORD)
#define MAX_CHARGE 4096u
#define NOWHERE UINT32_MAX

/* Registers (dynarec/host/arm64/regs.py). x18 is the platform's, x29 the frame pointer. */
#define CALL 16u
#define CONTEXT 17u
#define POINTER 25u
#define BUDGET 26u
#define WINDOW 27u
#define STATE 28u
#define ZR 31u /* the zero register, or sp */
#define RESERVED (1u << 18 | 1u << POINTER | 1u << BUDGET | 1u << WINDOW | 1u << STATE | 1u << 29)
#define RESERVED_OR_SP (RESERVED | 1u << ZR)

/* Fields of instruction words. */
#define RD(word) ((word) & 31)
#define RN(word) ((word) >> 5 & 31)
#define RA(word) ((word) >> 10 & 31)
#define RM(word) ((word) >> 16 & 31)
#define IMMR(word) ((word) >> 16 & 63)
#define IMMS(word) ((word) >> 10 & 63)
#define IMM12(word) ((word) >> 10 & 0xfff)
#define IMM9(word) ((int32_t)((word) << 11) >> 23)
#define SIZE(word) ((word) >> 30)
#define OPC(word) ((word) >> 22 & 3)
#define COND(word) ((word) & 15)
#define SHIFTED_IMM12 (UINT32_C(1) << 22)
#define IN_RN(number) ((uint32_t)(number) << 5)
#define SCALED(offset, log2_size) ((uint32_t)(offset) >> (log2_size) << 10)
#define ADD_IMM12(number) ((uint32_t)(number) << 10)
#define UNSCALED(offset) (((uint32_t)(offset) & 0x1ff) << 12)
#define PAIR_OF_64(offset) (((uint32_t)(offset) >> 3 & 0x7f) << 15)

/* Offsets from the state register. */
#define OFFSET(member) ((int32_t)offsetof(struct dr_cpu, member) - (int32_t)offsetof(struct dr_cpu, state))
#define STATE_BYTES (DR_WORDS * WORD)
#define LOG2_SCALE 3u /* the slot of a target is where its low half says, times 8 */
_Static_assert(DR_JUMP_SLOTS * sizeof(struct dr_jump) == (size_t)1 << (16 + LOG2_SCALE), "the index of a lookup");
_Static_assert(offsetof(struct dr_jump, key) == 0 && offsetof(struct dr_jump, entry) == 8, "a lookup loads a pair");
_Static_assert(OFFSET(counters) % sizeof(uint64_t) == 0 && DR_COUNTERS <= 1 << 20, "what a count can reach");
_Static_assert(OFFSET(exit) >= -256 && OFFSET(jumps) % 8 == 0 && OFFSET(jumps) < 512, "offsets that one word can hold");

/* No access through the pointer reaches past a guard: the longest offset is that of a word. */
#define FARTHEST_OFFSET (0xfffu * WORD)
_Static_assert(FARTHEST_OFFSET + WORD <= DR_GUARD, "the guards are larger than any offset");

struct sweep {
    const struct dr_candidate *unit;
    struct dr_refusal *refusal;
    struct dr_head head;
    uint32_t spent;       /* where the charge branches to when it is out of budget */
    bool leaving;         /* the way here is out of budget */
    bool left;            /* nothing runs on into the next instruction */
    uint64_t links[MAX_WORDS / 64];  /* a bit for each word: it is a link not yet found */
    uint64_t inside[MAX_WORDS / 64]; /* ... it belongs to a sequence that starts before it */
};

/* Reasons that several rules share. */
#define WRITTEN "a write to a register that is not the code's own"
#define USED "a use of a register that is not the code's own"
#define NOT_WINDOW "an access to memory that is not the guest's window"
#define NOT_ALLOWED "an access to memory in a form that is not allowed"
#define BUDGET_CHANGED "a change of the budget that is neither charge nor refund"
#define OTHER "an instruction that generated code has no use for"
#define STAYS "code that is out of budget and does not leave at once"

static bool has(const uint64_t *bits, uint32_t at) {
    return bits[at / WORD / 64] >> at / WORD % 64 & 1;
}

static void set(uint64_t *bits, uint32_t at) {
    bits[at / WORD / 64] |= UINT64_C(1) << at / WORD % 64;
}

static uint32_t word_at(const struct sweep *sweep, uint32_t at) {
    uint32_t word;
    memcpy(&word, sweep->unit->code + at, sizeof word);
    return word;
}

static bool refuse(const struct sweep *sweep, uint32_t at, const char *reason) {
    *sweep->refusal = (struct dr_refusal){at, reason};
    return false;
}

/* -- plain instructions ---------------------------------------------------------------------------------------------- */

/* What an instruction does with its registers: `SP` where number 31 would be the stack pointer. */
enum {
    WRITES_RD = 1,
    WRITES_RD_OR_SP = 2,
    READS_RN = 4,
    READS_RN_OR_SP = 8,
    READS_RM = 16,
    READS_RA = 32,
};
#define TWO (WRITES_RD | READS_RN)
#define THREE (WRITES_RD | READS_RN | READS_RM)
#define WITH_IMMEDIATE (WRITES_RD_OR_SP | READS_RN_OR_SP)
#define FOUR (THREE | READS_RA)

/* An instruction: the bits that tell it, its registers, and what else there is to say about its operands. */
struct form {
    uint32_t mask, bits;
    uint32_t registers;
    const char *(*check)(uint32_t word);
};

/* An immediate of the logical instructions, 32 bits (Arm ARM, DecodeBitMasks): a run of ones, rotated in an element. */
static const char *check_bitmask(uint32_t word) {
    uint32_t size = 32;
    while (size > 1 && (~IMMS(word) & size) == 0)
        size /= 2;
    bool good = size > 1 && (IMMS(word) & (size - 1)) != size - 1 && IMMR(word) < size;
    return good ? NULL : "an immediate that is no bitmask";
}

/* Flags are set by comparisons alone. */
static const char *check_comparison(uint32_t word) {
    return RD(word) == ZR ? NULL : RD(word) == BUDGET ? BUDGET_CHANGED : OTHER;
}

/* Out of all bit fields: lsr and asr, extensions of bytes and half words; lsl and ubfx. */
static const char *check_bitfield(uint32_t word) {
    bool is_unsigned = word & UINT32_C(1) << 30;
    uint32_t immr = IMMR(word), imms = IMMS(word);
    bool right = imms == 31 && immr < 32;
    bool left = is_unsigned && imms < 31 && immr == imms + 1;
    bool extracts = is_unsigned && immr <= imms && imms < 32;
    bool extends = immr == 0 && (imms == 7 || imms == 15);
    return right || left || extracts || extends ? NULL : "a bit field that is no shift, extension or extraction";
}

/* Of sums and differences, the second operand may be shifted but not rotated: that is not defined. */
static const char *check_shifted(uint32_t word) {
    return OPC(word) == 3 ? OTHER : NULL;
}

static const char *check_rotation(uint32_t word) {
    return RN(word) == RM(word) ? NULL : "an extraction that is no rotation";
}

/* Sizes up to a word; loads that extend the sign of bytes and half words to 32 bits (opc 3). */
static bool is_guest_access(uint32_t word) {
    return SIZE(word) < 2 ? OPC(word) != 2 : SIZE(word) == 2 && OPC(word) < 2;
}

static const char *check_access(uint32_t word) {
    if (!is_guest_access(word))
        return "an access that no guest makes";
    bool reserved = RESERVED >> RD(word) & 1;
    return !reserved ? NULL : OPC(word) ? WRITTEN : USED;
}

static const char *check_window(uint32_t word) {
    if (RN(word) != WINDOW)
        return NOT_WINDOW;
    if (RESERVED >> RM(word) & 1)
        return USED;
    return check_access(word);
}

static const char *state_refusal(uint32_t word) {
    return OPC(word) ? "a load from the CPU state outside of the guest's registers"
                     : "a store to the CPU state outside of the guest's registers";
}

static const char *check_scaled(uint32_t word) {
    bool is_word = SIZE(word) == 2 && OPC(word) < 2;
    if (RN(word) == STATE && !(is_word && IMM12(word) < DR_WORDS))
        return state_refusal(word);
    if (RN(word) != STATE && RN(word) != POINTER)
        return NOT_WINDOW;
    return check_access(word);
}

/* Of the CPU state, `pc` alone has an offset below zero and is written. */
static const char *check_unscaled(uint32_t word) {
    bool is_store = SIZE(word) == 2 && OPC(word) == 0;
    if (RN(word) == STATE && !(is_store && IMM9(word) == OFFSET(pc)))
        return state_refusal(word);
    if (RN(word) != STATE && RN(word) != POINTER)
        return NOT_WINDOW;
    if (IMM9(word) >= 0 && (IMM9(word) & ((1 << SIZE(word)) - 1)) == 0)
        return "an offset in a longer form than it needs";
    return check_access(word);
}

/* C4.1.92 (data processing, immediate) */
static const struct form immediates[] = {
    {0xff800000, 0x11000000, WITH_IMMEDIATE, NULL},                        /* add Wd, Wn, #imm */
    {0xff800000, 0x71000000, READS_RN_OR_SP, check_comparison},            /* cmp Wn, #imm */
    {0xffc00000, 0x52800000, WRITES_RD, NULL},                             /* movz Wd, #imm, lsl #0 or #16 */
    {0xffc00000, 0x72800000, WRITES_RD, NULL},                             /* movk */
    {0xffc00000, 0x12800000, WRITES_RD, NULL},                             /* movn */
    {0xffc00000, 0x12000000, WRITES_RD_OR_SP | READS_RN, check_bitmask},   /* and Wd, Wn, #imm */
    {0xffc00000, 0x32000000, WRITES_RD_OR_SP | READS_RN, check_bitmask},   /* orr */
    {0xffc00000, 0x52000000, WRITES_RD_OR_SP | READS_RN, check_bitmask},   /* eor */
    {0xffc00000, 0x53000000, TWO, check_bitfield},                         /* ubfm */
    {0xffc00000, 0x13000000, TWO, check_bitfield},                         /* sbfm */
    {0xff800000, 0x51000000, WITH_IMMEDIATE, NULL},                        /* sub Wd, Wn, #imm */
    {0xff800000, 0x31000000, READS_RN_OR_SP, check_comparison},            /* cmn Wn, #imm */
    {0xffe08000, 0x13800000, THREE, check_rotation},                       /* extr Wd, Wn, Wn, #n */
    {0xfffffc00, 0xd360fc00, TWO, NULL},                                   /* lsr Xd, Xn, #32 */
    {0xfffffc00, 0x93407c00, TWO, NULL},                                   /* sxtw Xd, Wn */
};

/* C4.1.94 (data processing, register) */
static const struct form registers[] = {
    {0xffe0ffe0, 0x2a0003e0, WRITES_RD | READS_RM, NULL},                  /* mov Wd, Wm */
    {0xff208000, 0x0b000000, THREE, check_shifted},                        /* add Wd, Wn, Wm, shift #n */
    {0xffe0fc00, 0x6b000000, READS_RN | READS_RM, check_comparison},       /* cmp Wn, Wm */
    {0xffe0ffff, 0x8b204000 | IN_RN(WINDOW) | POINTER, READS_RM, NULL},    /* add x25, x27, Wm, uxtw */
    {0xff208000, 0x4b000000, THREE, check_shifted},                        /* sub */
    {0xff008000, 0x0a000000, THREE, NULL},                                 /* and, bic */
    {0xff008000, 0x2a000000, THREE, NULL},                                 /* orr, orn */
    {0xff008000, 0x4a000000, THREE, NULL},                                 /* eor, eon */
    {0xffe00c00, 0x1a800000, THREE, NULL},                                 /* csel Wd, Wn, Wm, cond */
    {0xffe00c00, 0x1a800400, THREE, NULL},                                 /* csinc */
    {0xffe00c00, 0x5a800000, THREE, NULL},                                 /* csinv */
    {0xffe0f000, 0x1ac02000, THREE, NULL},                                 /* lsl, lsr, asr, ror Wd, Wn, Wm */
    {0xffe0fc00, 0x1b007c00, THREE, NULL},                                 /* mul */
    {0xffe00000, 0x1b000000, FOUR, NULL},                                  /* madd, msub Wd, Wn, Wm, Wa */
    {0xffe0f800, 0x1ac00800, THREE, NULL},                                 /* udiv, sdiv */
    {0xfffffc00, 0x5ac00000, TWO, NULL},                                   /* rbit Wd, Wn */
    {0xfffffc00, 0x5ac00800, TWO, NULL},                                   /* rev */
    {0xfffffc00, 0x5ac01000, TWO, NULL},                                   /* clz */
    {0xffe0fc00, 0x9ba07c00, THREE, NULL},                                 /* umull Xd, Wn, Wm */
    {0xffe0fc00, 0x9b207c00, THREE, NULL},                                 /* smull */
    {0xffe0fc00, 0x9b007c00, THREE, NULL},                                 /* mul Xd, Xn, Xm */
};

/* C4.1.96 (vectors): what counts ones in v0, which nobody else uses */
static const struct form vectors[] = {
    {0xfffffc1f, 0x1e270000, READS_RN, NULL},                              /* fmov s0, Wn */
    {0xffffffff, 0x0e205800, 0, NULL},                                     /* cnt v0.8b, v0.8b */
    {0xffffffff, 0x0e31b800, 0, NULL},                                     /* addv b0, v0.8b */
    {0xffffffe0, 0x1e260000, WRITES_RD, NULL},                             /* fmov Wd, s0 */
};

/* C4.1.95 (loads and stores); their registers are checked beside their bases */
static const struct form accesses[] = {
    {0x3f000000, 0x39000000, 0, check_scaled},                             /* [Xn, #offset] */
    {0x3f20fc00, 0x38204800, 0, check_window},                             /* [Xn, Wm, uxtw] */
    {0x3f200c00, 0x38000000, 0, check_unscaled},                           /* ldur, stur */
};

struct forms {
    const struct form *at;
    size_t count;
    const char *otherwise;
};
#define FORMS(table, otherwise) {table, sizeof table / sizeof *table, otherwise}

/* By bits 28 to 25 of the word (C4.1); 10 and 11 are branches, exceptions and system instructions. */
static const struct forms groups[] = {
    [4] = FORMS(accesses, NOT_ALLOWED),
    [5] = FORMS(registers, OTHER),
    [6] = FORMS(accesses, NOT_ALLOWED),
    [7] = FORMS(vectors, OTHER),
    [8] = FORMS(immediates, OTHER),
    [9] = FORMS(immediates, OTHER),
    [12] = FORMS(accesses, NOT_ALLOWED),
    [13] = FORMS(registers, OTHER),
    [14] = FORMS(accesses, NOT_ALLOWED),
    [15] = FORMS(vectors, OTHER),
};

static const char *check_reads(const struct form *form, uint32_t word) {
    bool bad = (form->registers & READS_RN && RESERVED >> RN(word) & 1) ||
               (form->registers & READS_RN_OR_SP && RESERVED_OR_SP >> RN(word) & 1) ||
               (form->registers & READS_RM && RESERVED >> RM(word) & 1) ||
               (form->registers & READS_RA && RESERVED >> RA(word) & 1);
    return bad ? USED : NULL;
}

static const char *check_writes(const struct form *form, uint32_t word) {
    bool bad = (form->registers & WRITES_RD && RESERVED >> RD(word) & 1) ||
               (form->registers & WRITES_RD_OR_SP && RESERVED_OR_SP >> RD(word) & 1);
    if (!bad)
        return NULL;
    return RD(word) == BUDGET ? BUDGET_CHANGED : WRITTEN;
}

static const char *check_form(const struct form *form, uint32_t word) {
    const char *reason = check_writes(form, word);
    if (!reason && form->check)
        reason = form->check(word);
    return reason ? reason : check_reads(form, word);
}

static const char *check_plain(uint32_t word) {
    const struct forms *forms = &groups[word >> 25 & 15];
    for (size_t i = 0; i < forms->count; i++)
        if ((word & forms->at[i].mask) == forms->at[i].bits)
            return check_form(&forms->at[i], word);
    return forms->otherwise ? forms->otherwise : OTHER;
}

/* -- branches -------------------------------------------------------------------------------------------------------- */

enum branch { NO_BRANCH, JUMP, CONDITIONAL };

/* The distance in bytes: `bits` bits in words, from bit `low` on. */
static int32_t distance(uint32_t word, unsigned low, unsigned bits) {
    return ((int32_t)(word << (32 - low - bits)) >> (32 - bits)) * (int32_t)WORD;
}

/* b; b.cond but for al and nv; cbz, cbnz Wt; tbz, tbnz Wt (C4.1.93). `to` is the offset that it goes to. */
static enum branch decode_branch(uint32_t word, uint32_t at, uint32_t *to) {
    if ((word & 0xfc000000) == 0x14000000) {
        *to = at + (uint32_t)distance(word, 0, 26);
        return JUMP;
    }
    if (((word & 0xff000010) == 0x54000000 && COND(word) < 14) || (word & 0xfe000000) == 0x34000000)
        *to = at + (uint32_t)distance(word, 5, 19);
    else if ((word & 0xfe000000) == 0x36000000)
        *to = at + (uint32_t)distance(word, 5, 14);
    else
        return NO_BRANCH;
    return CONDITIONAL;
}

static bool tests_reserved(uint32_t word) {
    return (word & 0x7c000000) == 0x34000000 && RESERVED >> RD(word) & 1;
}

static bool is_branch_group(uint32_t word) {
    return (word >> 26 & 7) == 5;
}

static const char *check_conditional(const struct sweep *sweep, uint32_t word) {
    if (tests_reserved(word))
        return USED;
    return sweep->leaving ? STAYS : NULL;
}

static const char *other_branch(uint32_t word) {
    if ((word & 0xfe000000) == 0xd6000000)
        return "an indirect branch that is neither exit call nor lookup";
    if ((word & 0xfc000000) == 0x94000000)
        return "a call";
    return (word & 0xfe000000) == 0xd4000000 ? "an exception or system instruction" : OTHER;
}

/* Where a branch goes is checked when the starts of all instructions are known. */
static const char *take_branch(struct sweep *sweep, uint32_t at, uint32_t word) {
    uint32_t to = NOWHERE;
    enum branch kind = decode_branch(word, at, &to);
    if (kind == NO_BRANCH)
        return other_branch(word);
    return kind == JUMP ? "a jump that is no link" : check_conditional(sweep, word);
}

/* -- sequences ------------------------------------------------------------------------------------------------------- */

struct step {
    uint32_t mask, bits;
};

static bool is_exit_call(const struct sweep *sweep, uint32_t at);
static bool is_pad(const struct sweep *sweep, uint32_t at);

/* Instructions that are matched as a whole, and entered at the first alone. `take` checks how their operands agree. */
#define MAX_STEPS 6
struct sequence {
    uint32_t with, without; /* hardening (enum dr_harden) that it is there for, and that it is not */
    uint32_t length;
    struct step steps[MAX_STEPS];
    const char *(*take)(struct sweep *sweep, uint32_t at);
};

static const char *take_pad(struct sweep *sweep, uint32_t at) {
    (void)sweep;
    return at ? "a landing pad inside a unit" : NULL;
}

static const char *take_exit(struct sweep *sweep, uint32_t at) {
    (void)at;
    sweep->left = true;
    sweep->leaving = false;
    return NULL;
}

/* The slot's address, the target that it comes from and the key that it is compared with, in registers of their own. */
static const char *take_lookup(struct sweep *sweep, uint32_t at) {
    enum { ADDRESS, LOAD, COMPARE, BRANCH = 4 };
    uint32_t words[BRANCH + 1];
    for (uint32_t i = 0; i <= BRANCH; i++)
        words[i] = word_at(sweep, at + i * WORD);
    uint32_t target = RM(words[ADDRESS]), slot = RD(words[ADDRESS]), key = RD(words[LOAD]);
    if (!sweep->head.charge)
        return "a lookup in a unit that has not charged its budget";
    if (sweep->leaving)
        return STAYS;
    if (RN(words[LOAD]) != slot || RA(words[LOAD]) != slot || RN(words[BRANCH]) != slot)
        return "a lookup whose instructions do not agree on the slot";
    if (RN(words[COMPARE]) != key || RM(words[COMPARE]) != target || key == target || slot == target || slot == key)
        return "a lookup that does not compare the key with its target";
    if (RESERVED >> target & 1 || RESERVED_OR_SP >> slot & 1 || RESERVED_OR_SP >> key & 1)
        return "a lookup in registers that are not the code's own";
    return NULL;
}

/* The same, with the entry signed for the key. */
static const char *take_signed_lookup(struct sweep *sweep, uint32_t at) {
    enum { LOAD = 1, BRANCH = 4 };
    if (RD(word_at(sweep, at + BRANCH * WORD)) != RD(word_at(sweep, at + LOAD * WORD)))
        return "a lookup that does not authenticate the entry for its key";
    return take_lookup(sweep, at);
}

static uint32_t add_immediate(uint32_t word) {
    return word & SHIFTED_IMM12 ? IMM12(word) << 12 : IMM12(word);
}

static const char *take_charge(struct sweep *sweep, uint32_t at) {
    uint32_t amount = add_immediate(word_at(sweep, at)), to = NOWHERE;
    decode_branch(word_at(sweep, at + WORD), at + WORD, &to);
    if (at != (is_pad(sweep, 0) ? WORD : 0))
        return "a charge that is not at the start";
    if (amount == 0 || amount > MAX_CHARGE)
        return "a charge of nothing or of too much";
    if (to <= at + WORD || to >= sweep->unit->size)
        return "a charge that does not branch forward when it is out of budget";
    sweep->head = (struct dr_head){amount, at + 2 * WORD};
    sweep->spent = to;
    return NULL;
}

/* The only way back. */
static const char *take_round(struct sweep *sweep, uint32_t at) {
    uint32_t amount = add_immediate(word_at(sweep, at)), to = NOWHERE;
    decode_branch(word_at(sweep, at + WORD), at + WORD, &to);
    if (!sweep->head.charge)
        return "a round in a unit that has not charged its budget";
    if (sweep->leaving)
        return STAYS;
    if (amount == 0 || amount > sweep->head.charge)
        return "a round that takes nothing, or more than a whole one";
    if (to < sweep->head.body || to > at)
        return "a round that does not begin behind the charge";
    sweep->leaving = true;
    return NULL;
}

/* As it is until it is linked. */
static const char *take_link(struct sweep *sweep, uint32_t at) {
    enum { SIZE = 2 * WORD };
    if (!has(sweep->links, at))
        return "a jump or refund that is no link";
    sweep->links[at / WORD / 64] &= ~(UINT64_C(1) << at / WORD % 64);
    if (at + SIZE >= sweep->unit->size || !is_exit_call(sweep, at + SIZE))
        return "a link that does not go to an exit call";
    if (!sweep->head.charge)
        return "a link in a unit that has not charged its budget";
    return sweep->leaving ? STAYS : NULL;
}

static const char *check_refund(const struct sweep *sweep, uint32_t at, uint32_t most) {
    uint32_t amount = add_immediate(word_at(sweep, at));
    bool good = amount && amount <= most && amount < sweep->head.charge;
    return good ? NULL : "a refund of nothing, of too much, or of no less than was charged";
}

static const char *take_refund(struct sweep *sweep, uint32_t at) {
    const char *reason = take_link(sweep, at);
    return reason ? reason : check_refund(sweep, at, DR_MAX_REFUND);
}

/* Where the lookup finds nothing, the unit is left. */
static const char *take_refund_and_lookup(struct sweep *sweep, uint32_t at) {
    const char *reason = take_lookup(sweep, at + WORD);
    sweep->leaving = true;
    return reason ? reason : check_refund(sweep, at, MAX_CHARGE);
}

static const char *take_refund_and_signed_lookup(struct sweep *sweep, uint32_t at) {
    const char *reason = take_signed_lookup(sweep, at + WORD);
    sweep->leaving = true;
    return reason ? reason : check_refund(sweep, at, MAX_CHARGE);
}

/* The counter's page, and the same place in it for the load and the store. */
static const char *take_count(struct sweep *sweep, uint32_t at) {
    enum { PAGE, LOAD, ADD, STORE, COUNTER = sizeof(uint64_t), END = DR_COUNTERS * COUNTER };
    uint32_t page = IMM12(word_at(sweep, at + PAGE * WORD)), place = IMM12(word_at(sweep, at + LOAD * WORD));
    uint32_t offset = (page << 12) + place * COUNTER - (uint32_t)OFFSET(counters);
    uint32_t base = RD(word_at(sweep, at)), count = RD(word_at(sweep, at + LOAD * WORD)), add = word_at(sweep, at + ADD * WORD);
    if (RN(word_at(sweep, at + LOAD * WORD)) != base || RN(word_at(sweep, at + STORE * WORD)) != base ||
        RD(add) != count || RN(add) != count || RD(word_at(sweep, at + STORE * WORD)) != count || base == count)
        return "a count whose instructions do not agree on its registers";
    if ((RESERVED_OR_SP >> base | RESERVED_OR_SP >> count) & 1)
        return "a count in registers that are not the code's own";
    if (IMM12(word_at(sweep, at + STORE * WORD)) != place)
        return "a count that does not store where it loads";
    return offset < END ? NULL : "a count outside of the counters";
}

#define LOAD_EXIT {0xffffffff, 0xf8400000 | UNSCALED(OFFSET(exit)) | IN_RN(STATE) | CALL} /* ldur x16, [x28, #exit] */
#define GIVE_BACK {0xff8003ff, 0x11000000 | IN_RN(BUDGET) | BUDGET} /* add w26, w26, #n */
#define LOOKUP \
    {0xffe0ffe0, 0x8b202000 | LOG2_SCALE << 10 | IN_RN(STATE)},    /* add Xslot, x28, Wtarget, uxth #3 */ \
    {0xffff8000, 0xa9400000 | PAIR_OF_64(OFFSET(jumps))},          /* ldp Xkey, Xslot, [Xslot, #jumps] */ \
    {0xffe0fc1f, 0x6b00001f},                                      /* cmp Wkey, Wtarget */ \
    {0xffffffff, 0x54000041}                                       /* b.ne behind the branch that follows */

static const struct sequence sequences[] = {
    {DR_BTI, 0, 1, {{0xffffffff, 0xd503249f}}, take_pad},                          /* bti j */
    {0, DR_PAC, 2,
     {LOAD_EXIT,
      {0xffffffff, 0xd63f0000 | IN_RN(CALL)}},                                     /* blr x16 */
     take_exit},
    {DR_PAC, 0, 3,
     {LOAD_EXIT,
      {0xffffffff, 0xd1000000 | ADD_IMM12(-OFFSET(exit)) | IN_RN(STATE) | CONTEXT}, /* sub x17, x28, #-exit */
      {0xffffffff, 0xd73f0800 | IN_RN(CALL) | CONTEXT}},                           /* blraa x16, x17 */
     take_exit},
    {0, DR_PAC, 5, {LOOKUP, {0xfffffc1f, 0xd61f0000}}, take_lookup},               /* br Xslot */
    {DR_PAC, 0, 5, {LOOKUP, {0xfffffc00, 0xd71f0800}}, take_signed_lookup},        /* braa Xslot, Xkey */
    {0, DR_PAC, 6, {GIVE_BACK, LOOKUP, {0xfffffc1f, 0xd61f0000}}, take_refund_and_lookup},        /* br Xslot */
    {DR_PAC, 0, 6, {GIVE_BACK, LOOKUP, {0xfffffc00, 0xd71f0800}}, take_refund_and_signed_lookup}, /* braa Xslot, Xkey */
    {0, 0, 2,
     {{0xff8003ff, 0x71000000 | IN_RN(BUDGET) | BUDGET},                           /* subs w26, w26, #n */
      {0xff00001f, 0x54000004}},                                                   /* b.mi */
     take_charge},
    {0, 0, 2,
     {{0xff8003ff, 0x71000000 | IN_RN(BUDGET) | BUDGET},                           /* subs w26, w26, #n */
      {0xff00001f, 0x54000005}},                                                   /* b.pl */
     take_round},
    {0, 0, 2,
     {GIVE_BACK,
      {0xffffffff, 0x14000001}},                                                   /* b behind it */
     take_refund},
    {0, 0, 2, {{0xffffffff, 0x14000002}, {0xffffffff, 0x14000001}}, take_link},    /* b behind the next; b behind it */
    {0, 0, 4,
     {{0xffc003e0, 0x91400000 | IN_RN(STATE)},                                     /* add Xbase, x28, #page, lsl #12 */
      {0xffc00000, 0xf9400000},                                                    /* ldr Xcount, [Xbase, #place] */
      {0xfffffc00, 0x91000400},                                                    /* add Xcount, Xcount, #1 */
      {0xffc00000, 0xf9000000}},                                                   /* str Xcount, [Xbase, #place] */
     take_count},
};
#define SEQUENCES (sizeof sequences / sizeof *sequences)

static bool matches(const struct sweep *sweep, const struct sequence *sequence, uint32_t at) {
    uint32_t harden = sweep->unit->harden;
    if ((harden & sequence->with) != sequence->with || harden & sequence->without)
        return false;
    if (sequence->length > (sweep->unit->size - at) / WORD)
        return false;
    for (uint32_t i = 0; i < sequence->length; i++)
        if ((word_at(sweep, at + i * WORD) & sequence->steps[i].mask) != sequence->steps[i].bits)
            return false;
    return true;
}

static const struct sequence *find_sequence(const struct sweep *sweep, uint32_t at) {
    uint32_t word = word_at(sweep, at);
    for (size_t i = 0; i < SEQUENCES; i++)
        if ((word & sequences[i].steps[0].mask) == sequences[i].steps[0].bits && matches(sweep, &sequences[i], at))
            return &sequences[i];
    return NULL;
}

/* -- the sweep ------------------------------------------------------------------------------------------------------- */

/* Takes the sequence or the instruction at an offset; its length in words. */
static const char *take(struct sweep *sweep, uint32_t at, uint32_t *length) {
    const struct sequence *sequence = find_sequence(sweep, at);
    uint32_t word = word_at(sweep, at);
    *length = 1;
    sweep->left = false;
    if (!sequence)
        return is_branch_group(word) ? take_branch(sweep, at, word) : check_plain(word);
    *length = sequence->length;
    for (uint32_t i = 1; i < sequence->length; i++)
        set(sweep->inside, at + i * WORD);
    return sequence->take(sweep, at);
}

static bool sweep_code(struct sweep *sweep) {
    uint32_t last = 0, length;
    for (uint32_t at = 0; at < sweep->unit->size; at += length * WORD) {
        sweep->leaving |= at == sweep->spent;
        const char *reason = take(sweep, at, &length);
        if (reason)
            return refuse(sweep, at, reason);
        last = at;
    }
    return sweep->left || refuse(sweep, last, "code that runs off its end");
}

static bool is_exit_call(const struct sweep *sweep, uint32_t at) {
    const struct sequence *sequence = find_sequence(sweep, at);
    return sequence && sequence->take == take_exit;
}

static bool is_pad(const struct sweep *sweep, uint32_t at) {
    const struct sequence *sequence = find_sequence(sweep, at);
    return sequence && sequence->take == take_pad;
}

/* Only rounds go back, and they have been looked at. */
static const char *check_target(const struct sweep *sweep, uint32_t at, uint32_t to) {
    if (to >= sweep->unit->size)
        return "a branch out of the unit";
    if (has(sweep->inside, to))
        return "a branch into the middle of a sequence";
    return to <= at && !has(sweep->inside, at) ? "a branch back that does not charge" : NULL;
}

/* Sequences: that of a lookup or a link goes behind it. */
static bool check_targets(const struct sweep *sweep) {
    for (uint32_t at = 0; at < sweep->unit->size; at += WORD) {
        uint32_t to, word = word_at(sweep, at);
        if (!is_branch_group(word) || decode_branch(word, at, &to) == NO_BRANCH)
            continue;
        const char *reason = check_target(sweep, at, to);
        if (reason)
            return refuse(sweep, has(sweep->inside, at) ? at - WORD : at, reason);
    }
    return true;
}

static bool note_links(struct sweep *sweep) {
    for (uint32_t i = 0; i < sweep->unit->link_count; i++) {
        uint32_t at = sweep->unit->links[i];
        if (at >= sweep->unit->size || at % WORD)
            return refuse(sweep, at, "a link that is no instruction of the unit");
        if (has(sweep->links, at))
            return refuse(sweep, at, "a link twice");
        set(sweep->links, at);
    }
    return true;
}

static bool check_links(const struct sweep *sweep) {
    for (uint32_t i = 0; i < sweep->unit->link_count; i++)
        if (has(sweep->links, sweep->unit->links[i]))
            return refuse(sweep, sweep->unit->links[i], "a link that is not as links are before they are linked");
    return true;
}

bool dr_verify_arm64(const struct dr_candidate *candidate, struct dr_head *head, struct dr_refusal *refusal) {
    struct sweep sweep = {.unit = candidate, .refusal = refusal, .spent = NOWHERE};
    if (candidate->size == 0 || candidate->size % WORD)
        return refuse(&sweep, 0, "code that is no whole number of instructions");
    if (candidate->size > DR_VERIFY_MAX)
        return refuse(&sweep, 0, "a unit that is too long");
    if (candidate->harden & DR_BTI && !is_pad(&sweep, 0))
        return refuse(&sweep, 0, "a unit without a landing pad");
    bool good = note_links(&sweep) && sweep_code(&sweep) && check_links(&sweep) && check_targets(&sweep);
    *head = sweep.head;
    return good;
}
