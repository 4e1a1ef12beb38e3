# What a scan works with: where what it finds is put, and what can be wrong. The arrays are used again for every frame.

cdef enum:                     # what can be wrong; REASONS has the words, in this order
    OK
    END
    VALUE
    KEY
    COLON
    NEXT_MEMBER
    NEXT_ELEMENT
    CONTROL
    ESCAPE
    SURROGATE
    UTF8
    NUMBER
    NESTING
    GARBAGE
    WANT_OBJECT
    WANT_ARRAY
    WANT_STRING
    WANT_NUMBER
    WANT_CHECKSUM
    TYPE
    SYMBOL
    TIMESTAMP
    SECONDS
    POSITIVE
    SIGN
    RANGE
    V1_SHAPE
    V1_LEVEL
    MIXED
    DUPLICATE                  # of scan.key
    MISSING                    # scan.key
    NO_MEMORY

REASONS = (
    "", reasons.END, reasons.VALUE, reasons.KEY, reasons.COLON, reasons.NEXT_MEMBER, reasons.NEXT_ELEMENT,
    reasons.CONTROL, reasons.ESCAPE, reasons.SURROGATE, reasons.UTF8, reasons.NUMBER, reasons.NESTING, reasons.GARBAGE,
    reasons.WANT_OBJECT, reasons.WANT_ARRAY, reasons.WANT_STRING, reasons.WANT_NUMBER, reasons.WANT_CHECKSUM,
    reasons.TYPE, reasons.SYMBOL, reasons.TIMESTAMP, reasons.SECONDS, reasons.POSITIVE, reasons.SIGN, reasons.RANGE,
    reasons.V1_SHAPE, reasons.V1_LEVEL, reasons.MIXED,
)  # fmt: skip

cdef enum:                     # known keys; KEYS has their names, in this order
    OTHER
    CHANNEL_KEY
    TYPE_KEY
    DATA_KEY
    SYMBOL_KEY
    BIDS_KEY
    ASKS_KEY
    CHECKSUM_KEY
    TIMESTAMP_KEY
    PRICE_KEY
    QTY_KEY
    AS_KEY
    BS_KEY
    A_KEY
    B_KEY
    C_KEY
    KEY_COUNT

KEYS = ("", "channel", "type", "data", "symbol", "bids", "asks", "checksum", "timestamp", "price", "qty",
        "as", "bs", "a", "b", "c")  # fmt: skip
cdef const char* key_names[16]
cdef Py_ssize_t key_sizes[16]

cdef enum:
    BIDS = 0
    ASKS = 1

cdef struct Level:
    i128 key                   # price times 10^18
    Text text

cdef struct Element:           # what a message says of one book
    void* state                # its BookState, borrowed, or NULL
    const char* symbol         # the string's opening quote
    Py_ssize_t first[2]        # of its levels in Scan.levels, by side
    Py_ssize_t count[2]
    int64_t ns
    uint32_t checksum
    bint snapshot
    bint has_checksum
    bint has_ns

cdef struct Scan:
    const char* start
    const char* end
    Level* levels
    Element* elements
    Py_ssize_t level_count
    Py_ssize_t level_capacity
    Py_ssize_t element_count
    Py_ssize_t element_capacity
    int error
    int key                    # of DUPLICATE and MISSING
    const char* error_at
    bint book                  # it is a book's
    bint v1


cdef void make_key_names() noexcept:
    cdef int i
    for i in range(KEY_COUNT):
        key_names[i] = PyUnicode_AsUTF8AndSize(KEYS[i], &key_sizes[i])


make_key_names()


cdef const char* fail(Scan* s, int error, const char* at) noexcept nogil:
    s.error = error
    s.error_at = at
    return NULL


cdef const char* wrong(Scan* s, const char* p, int error) noexcept nogil:
    """What is at `p` is not what is wanted there, unless the frame has ended."""
    return fail(s, error if p < s.end else END, p)


cdef inline bint is_digit(char c) noexcept nogil:
    return <uint8_t>(c - c"0") <= 9


cdef inline char last(const char* p) noexcept nogil:
    """The byte before `p`."""
    return (p - 1)[0]


cdef Level* new_level(Scan* s) noexcept nogil:
    """The next place for a level; NULL, and the error set, if there is no memory."""
    cdef Py_ssize_t capacity
    cdef Level* levels
    if s.level_count == s.level_capacity:
        capacity = 2 * s.level_capacity + 64
        levels = <Level*>realloc(s.levels, capacity * sizeof(Level))
        if levels == NULL:
            fail(s, NO_MEMORY, s.start)
            return NULL
        s.levels = levels
        s.level_capacity = capacity
    s.level_count += 1
    return &s.levels[s.level_count - 1]


cdef Element* new_element(Scan* s) noexcept nogil:
    """The next place for an element, empty; NULL, and the error set, if there is no memory."""
    cdef Py_ssize_t capacity
    cdef Element* elements
    if s.element_count == s.element_capacity:
        capacity = 2 * s.element_capacity + 4
        elements = <Element*>realloc(s.elements, capacity * sizeof(Element))
        if elements == NULL:
            fail(s, NO_MEMORY, s.start)
            return NULL
        s.elements = elements
        s.element_capacity = capacity
    s.element_count += 1
    memset(&s.elements[s.element_count - 1], 0, sizeof(Element))
    return &s.elements[s.element_count - 1]


cdef void scan_begin(Scan* s, const char* frame, Py_ssize_t size) noexcept nogil:
    s.start = frame
    s.end = frame + size
    s.level_count = 0
    s.element_count = 0
    s.error = OK
    s.book = False
    s.v1 = False


cdef void scan_free(Scan* s) noexcept nogil:
    free(s.levels)
    free(s.elements)
    memset(s, 0, sizeof(Scan))


cdef void scan_shrink(Scan* s) noexcept nogil:
    """Let go of what a monstrous frame needed."""
    if s.level_capacity > 16384:
        free(s.levels)
        s.levels = NULL
        s.level_capacity = 0
    if s.element_capacity > 1024:
        free(s.elements)
        s.elements = NULL
        s.element_capacity = 0
