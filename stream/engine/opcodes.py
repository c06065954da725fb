"""The numbers that a plan's arrays and the kernel agree on. They live in memory only, never in a snapshot."""

from __future__ import annotations

from typing import Final

# --- Special values in a row -------------------------------------------------------------------------------------
NONE: Final = -1  # an instant, offset or text that is not there
FOREVER: Final = 1 << 62  # an instant that never comes
BARRED: Final = -2  # the state of a segment that lets nobody in before the customer's next event
NAN_WORD: Final = 0x7FF8_0000_0000_0000  # the bits of a double that is not there

# --- A plan is one array of integers: the places and sizes of its tables, then the tables ---------------------------
P_SEGMENTS: Final = 0
P_SEGMENT_COUNT: Final = 1
P_EVIDENCE: Final = 2
P_EVIDENCE_MOST: Final = 3  # pieces of evidence that one evaluation may need
P_VALUES: Final = 4
P_CODE: Final = 5
P_FILTER_CODE: Final = 6
P_KIND_FILTERS: Final = 7  # 4 places: those of a kind's first and, one further, last-plus-one filter
P_KIND_ACCUMULATORS: Final = 8  # 4 places, the same way
P_FILTERS: Final = 9
P_WINDOWED: Final = 10  # places of windowed accumulators, those of equal width next to one another
P_WINDOWED_COUNT: Final = 11
P_CHURN_CACHES: Final = 12  # first words of cached crossings
P_CHURN_CACHE_COUNT: Final = 13
P_EVENT_RING: Final = 14  # first word of the ring of event ids
P_EVENT_RING_SIZE: Final = 15
P_ORDER_RING: Final = 16
P_ORDER_RING_SIZE: Final = 17
P_TRAITS: Final = 18  # of each wanted trait: TRAIT_COLUMNS
P_READERS: Final = 19  # of each accumulator and trait: a mask of P_MASK_WORDS words, the segments that read it
P_MASK_WORDS: Final = 20
P_DUES: Final = 21  # first word of the segments' own timers in a row
P_PERSONA: Final = 22  # the place of what there is to know of personas, see below; 0: the file has none
P_CHANGES_MOST: Final = 23  # changes that one evaluation may make
P_HEADER: Final = 24

TRAIT_WORD: Final = 0  # first word in a row
TRAIT_TOUCH: Final = 1  # its number in P_READERS
TRAIT_COLUMNS: Final = 2
MASK_BITS: Final = 32  # segments in a word of a mask: a power of two is divided by without dividing

# --- The plan's doubles start with the churn model --------------------------------------------------------------------
K_MODEL: Final = 0  # 1.0 for MBG/NBD, else 0.0; then r, alpha, a, b (weeks)
K_HEADER: Final = 5

# --- ... then, where the file has personas, their model: its places after K_HEADER ------------------------------------
M_COUNT: Final = 0  # of personas; 0: there is no model yet
M_VERSION: Final = 1
M_OTHERS: Final = 2  # how many personas are named behind all that, since customers may still be in them
M_SCALES: Final = 3  # of each feature; then of each persona: its number, the code of its name, its centre, scaled
M_NAMING: Final = 2  # doubles before a centre
PERSONAS_MOST: Final = 50
OTHERS_MOST: Final = 200
# Behind room for so many personas come the tables of what is ranked, one after the other: quantiles, of the shares
# 0, 1/200, ..., 1, never falling; NaN: there is no model yet, or nobody has a value
RANK_STEPS: Final = 200
RANK_PLACES: Final = RANK_STEPS + 1
RFM_DIGITS: Final = 5  # of an rfm's texts: they have the first codes of a pool, in their order
RFM_STEPS: Final = RANK_STEPS // RFM_DIGITS

FILTER_COLUMNS: Final = 2  # first and last-plus-one instruction
CODE_COLUMNS: Final = 4  # what, a, b, c

# --- Accumulators: what is remembered of events; columns of a table -------------------------------------
COUNT: Final = 0  # [n]                    windowed: [n, B x uint32]
SUM: Final = 1  # [total]                  windowed: [total, B words]; in units of 1/10000
MIN: Final = 2  # [value]                  windowed: [value, B words]; NAN_WORD where there is none
MAX: Final = 3
DISTINCT: Final = 4  # [n, 32 hashes]      windowed: [n, 32 hashes, 32 bytes of bucket numbers modulo B]
FIRST: Final = 5  # [instant]
LAST: Final = 6
FIRST_VALUE: Final = 7  # [instant, value]
LAST_VALUE: Final = 8
DAYS: Final = 9  # [days after the first, earliest instant, latest instant]

DISTINCT_LIMIT: Final = 32
SUM_SCALE: Final = 10_000.0

A_OP: Final = 0
A_FILTER: Final = 1  # number of the filter, or NONE
A_SOURCE: Final = 2  # where the field's value comes from, see below
A_COLUMN: Final = 3  # ... and the row of that matrix
A_OFFSET: Final = 4  # the first word in the customer's row
A_WIDTH: Final = 5  # of a bucket, ms; 0 without a window
A_BUCKETS: Final = 6
A_TOUCH: Final = 7  # its number in P_READERS
A_COLUMNS: Final = 8

FROM_NOTHING: Final = 0
FROM_NUMBERS: Final = 1
FROM_HASHES: Final = 2
FROM_TEXTS: Final = 3

# --- Filters: postfix code over the fields of one event; columns: what, a, b, c ------------------------------
F_NUMBER: Final = 0  # column, comparison, constant
F_TEST: Final = 1  # column, bit
F_EXISTS: Final = 2  # column of numbers
F_AND: Final = 3
F_OR: Final = 4
F_NOT: Final = 5
F_FALSE: Final = 6

# --- Comparisons ---------------------------------------------------------------------------------------------------
EQ: Final = 0
NE: Final = 1
LT: Final = 2
LE: Final = 3
GT: Final = 4
GE: Final = 5

# --- Types of what is on the stack ---------------------------------------------------------------------------------
T_NULL: Final = 0
T_NUMBER: Final = 1  # numbers, durations and instants, all as doubles
T_TEXT: Final = 2  # the text's code in the pool
T_BOOLEAN: Final = 3

# --- Values: what conditions and evidence read from a row; columns of a table ----------------------------------
V_NULL: Final = 0
V_COUNT: Final = 1
V_SUM: Final = 2
V_AVG: Final = 3  # V_A: the sum's offset, V_B: the count's
V_EXTREME: Final = 4  # V_B: MIN or MAX
V_DISTINCT: Final = 5
V_INSTANT: Final = 6
V_NUMBER: Final = 7  # [instant, value]
V_TEXT: Final = 8
V_BOOLEAN: Final = 9
V_TRAIT: Final = 10  # [instant, type, value]
V_GAP: Final = 11  # V_A: the count's offset, V_B: first, V_C: last
V_P_ALIVE: Final = 12
V_P_BUY: Final = 13  # V_B: index of the horizon (ms) among the constants
V_PERSONA: Final = 14  # V_A: the persona's number, V_B: how many features there are
V_CODE: Final = 15  # a rank or an rfm; V_A, V_B: first and last-plus-one instruction; only `value_of` knows it

V_OP: Final = 0
V_A: Final = 1
V_B: Final = 2
V_C: Final = 3
V_WIDTH: Final = 4
V_BUCKETS: Final = 5
V_COLUMNS: Final = 6

# --- Conditions: postfix code over a row; columns: what, a, b, c ------------------------------------------------------
C_NUMBER: Final = 0  # a: constant
C_TEXT: Final = 1  # a: code in the pool
C_BOOLEAN: Final = 2  # a: 0 or 1
C_VALUE: Final = 3  # a: value; b: 1 when its next step in time matters here
C_ADD: Final = 4
C_SUB: Final = 5
C_MUL: Final = 6
C_DIV: Final = 7
C_COMPARE: Final = 8  # a: comparison
C_COMPARE_WALK: Final = 9  # a: comparison, b: the left value (windowed count or sum), c: 1 when it only falls
C_COMPARE_SINCE: Final = 10  # a: comparison; left: an instant, right: a duration
C_COMPARE_CHURN: Final = 11  # a: comparison, b: value, c: offset of its cached crossing; right: a number
C_AFTER: Final = 12
C_BEFORE: Final = 13
C_TEXT_TEST: Final = 14  # a: the pool's test
C_EXISTS: Final = 15
C_MEMBER: Final = 16  # a: segment
C_TRUTH: Final = 17  # a trait or field as a condition
C_AND: Final = 18
C_OR: Final = 19
C_NOT: Final = 20
C_SKIP_FALSE: Final = 21  # a: where to go on when the top is false for ever
C_SKIP_TRUE: Final = 22
C_DUPLICATE: Final = 23
C_SWAP: Final = 24
C_RANK: Final = 25  # a: the first place of the table among the constants, b: 1 where an instant is ranked
C_RFM: Final = 26  # a: the first place of its three tables; what these are of is on the stack
C_AMONG: Final = 27  # what is on top, for who has at least one of what is counted below it

# --- Segments: columns of a table ------------------------------------------------------------------------------
S_STATE: Final = 0  # word: NONE, BARRED, instant << 1 (eligible since) or instant << 1 | 1 (member since)
S_LEFT: Final = 1  # word: instant of the last exit, or NONE
S_ENTER: Final = 2  # first instruction of the enter condition
S_ENTER_END: Final = 3
S_EXIT: Final = 4  # the same for exit; empty: not (enter)
S_EXIT_END: Final = 5
S_FOR: Final = 6
S_MIN_STAY: Final = 7
S_COOLDOWN: Final = 8
S_ONCE: Final = 9
S_EVIDENCE: Final = 10  # first entry among the evidence
S_EVIDENCE_END: Final = 11
S_MEMBER: Final = 12  # 1 when its conditions ask for membership of another segment
S_COLUMNS: Final = 13

# --- Personas: a table, then the columns of each feature and of what is ranked, then the windowed values of features
PE_STATE: Final = 0  # first of three words: number or NONE, since when, version of the model that it has seen
PE_DUE: Final = 1  # derived words: the persona's own two, then features' logarithms, numbers, and next instants
PE_KEPT: Final = 2  # index among the constants: another centre must be nearer than this share of the distance
PE_CLICK: Final = 3  # words of the latest instants at which the customer did something
PE_PURCHASE: Final = 4
PE_EMAIL: Final = 5
PE_WITHIN: Final = 6  # ms for which that makes them active
PE_WIDTH: Final = 7  # ms of its buckets, at whose borders ages are taken
PE_TOUCH: Final = 8  # its number in P_READERS; as a reader itself it is the one after the last segment
PE_FEATURES: Final = 9  # how many; as readers they are those after the personas
PE_RANKS: Final = 10  # how many expressions are ranked; they have columns as features have
PE_RANKS_TOUCH: Final = 11  # number in P_READERS of what is known of all customers, which a model changes
PE_HEADER: Final = 12
FEATURE_CODE: Final = 0  # first and last-plus-one instruction
FEATURE_INSTANT: Final = 2  # 1 for an instant
FEATURE_ALONE: Final = 3  # the value where it is nothing else, or NONE
FEATURE_STEPS: Final = 4  # how many numbers lie between PE_HEADER and its first windowed value; how many those are
FEATURE_COLUMNS: Final = 6
PERSONA_WORDS: Final = 3
OWN_WORDS: Final = 2  # when time alone may change the persona; how far the vector may move before it can be another
FEATURE_WORDS: Final = 3  # of each feature, behind those

# --- Words of a row that every plan has ------------------------------------------------------------------------------
R_ROLL: Final = 0  # derived: the earliest bucket border after the clock
R_CLOCK: Final = 1
R_SEQUENCE: Final = 2
R_SEEN: Final = 3  # three words: last offset seen of each topic
R_RINGS: Final = 6  # next place in the ring of event ids | the same for order ids << 8
R_HEADER: Final = 7

# --- What became of an event ------------------------------------------------------------------------------------------
APPLIED: Final = 0
DUPLICATE: Final = 1
REPLAYED: Final = 2
LATE: Final = 3  # applied, with a timestamp before the customer's clock

# --- Columns of the kernel's output: one row a change -----------------------------------------------------------------
O_ROW: Final = 0  # the customer's row
O_EVENT: Final = 1  # index of the event that caused it, or NONE
O_SEGMENT: Final = 2  # or the number of segments and that of a persona
O_AT: Final = 3  # ms
O_SEQUENCE: Final = 4
O_EVIDENCE: Final = 5  # its first piece of evidence
O_STAY: Final = 6  # ms that the customer was a member, of an exit; NONE: an entry
O_COLUMNS: Final = 7

# --- The kernel's working memory is one array of integers: what it wrote, then places of its parts, then the parts ---
W_CHANGES_USED: Final = 0
W_PIECES_USED: Final = 1
W_CHANGES_MOST: Final = 2
W_PIECES_MOST: Final = 3
W_STACK: Final = 4  # of conditions: three words an entry (type, value, until)
W_HITS: Final = 5  # 1 for each filter that the event at hand passes
W_BITS: Final = 6  # stack of a filter
W_TOUCHED: Final = 7  # a mask: the segments that read something that the event at hand changed
W_CHANGES: Final = 8  # output: O_COLUMNS words a change,
W_PIECES: Final = 9  # and two words (type, value) a piece of evidence
W_VECTOR: Final = 10  # of a customer: VECTOR_COLUMNS words a feature
W_HEADER: Final = 11
VECTOR_COLUMNS: Final = 3  # type and value as conditions have them, the logarithm, scaled
