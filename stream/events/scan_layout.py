"""The numbers that the scanner's plan (`stream.events.scan_plan`) and its compiled code agree on."""

from __future__ import annotations

from typing import Final

NONE: Final = -1

# --- A plan is one array of integers: a header with the places of its tables, then the tables ----------------------
P_SLOTS: Final = 0  # hash table: numbers of words plus one, 0 where there is none
P_SLOT_MASK: Final = 1
P_WORDS: Final = 2
P_ONLY_KIND: Final = 3  # the kind of all messages, or NONE where each says its own
P_KEYS: Final = 4  # how many keys are looked for
P_TYPE_KEY: Final = 5  # numbers of keys
P_TIME_KEY: Final = 6
P_TRAITS_KEY: Final = 7
P_TRAITS: Final = 8  # how many traits are wanted
P_FIELDS: Final = 9  # 4 places: those of a kind's first and, one further, last-plus-one field
P_HEADER: Final = 13

# --- Words: all keys, and all texts that values are compared with --------------------------------------------------
W_SIZE: Final = 0  # bytes
W_HEAD: Final = 1  # its first eight bytes (fewer: the rest is 0)
W_TAIL: Final = 2  # its last eight bytes, if it has so many
W_START: Final = 3  # its place among the words' bytes
W_KEY: Final = 4  # its number as a key, or NONE
W_TRAIT: Final = 5  # ... as a wanted trait
W_KIND: Final = 6  # ... as a kind
W_EMAIL_ACTION: Final = 7  # 1: an action of e-mails
W_COLUMNS: Final = 8

# --- Fields of a kind -----------------------------------------------------------------------------------------------
F_KEY: Final = 0
F_TYPE: Final = 1  # json_scan.NUMBER, TEXT or BOOLEAN
F_IS_REQUIRED: Final = 2
F_LEAST: Final = 3  # of a text: its least length; of a number: 1 when it must not be below 0
F_MOST: Final = 4  # of a text: its largest length in characters
F_FORM: Final = 5  # which texts are allowed
F_NUMBER: Final = 6  # rows that it fills, or NONE
F_TEST: Final = 7
F_SPAN: Final = 8
F_OTHER_SPAN: Final = 9
F_MASKS: Final = 10  # place of its answers by word; the first is for all other texts
F_PATTERNS: Final = 11  # its tests that look into texts: place of the first and last-plus-one
F_PATTERNS_END: Final = 12
F_COLUMNS: Final = 13

ANY_FORM: Final = 0
CLICK_ACTION: Final = 1
EMAIL_ACTION: Final = 2
CURRENCY: Final = 3

# --- Tests that look into texts -------------------------------------------------------------------------------------
T_OP: Final = 0
T_BIT: Final = 1
T_START: Final = 2
T_SIZE: Final = 3
T_COLUMNS: Final = 4

CONTAINS: Final = 0
STARTS_WITH: Final = 1
ENDS_WITH: Final = 2

# --- Working memory: what was found of each key, of each trait, and room for nested brackets ------------------------
K_STAMP: Final = 0  # the message in which it was found
K_TYPE: Final = 1
K_START: Final = 2
K_END: Final = 3
K_COLUMNS: Final = 4

# --- Rows of spans --------------------------------------------------------------------------------------------------
EVENT_ID: Final = 0
CUSTOMER_ID: Final = 1
ORDER_ID: Final = 2
FIRST_HASHED: Final = 3  # then the hashed fields, then the texts

# --- Columns of traits ----------------------------------------------------------------------------------------------
TRAIT_EVENT: Final = 0
TRAIT_NUMBER: Final = 1
TRAIT_TYPE: Final = 2
TRAIT_VALUE: Final = 3  # the bits of a number, 1 or 0, or a span
TRAIT_HASH: Final = 4  # of a text; 0 where it is none, or too long for the scanner
TRAIT_COLUMNS: Final = 5
