# The frame scanner: from the bytes of a frame to the levels in it, into arrays that are used again for the next frame.
#
# `scan_frame` is scan.py in C and gives the same reason and offset for whatever is wrong; there is the commentary.
# `scan_canonical` takes only the exact shape that Kraken sends, and leaves the rest to it. A frame is a bytes object's
# content, so a NUL stands behind its last byte.

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


# --- room -----------------------------------------------------------------------------------------------------------


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


# --- times ----------------------------------------------------------------------------------------------------------

cdef char known_day[10]        # a day seldom ends: the last one met, and its midnight
cdef int64_t known_midnight = 0
memcpy(known_day, b"1970-01-01", 10)


cdef inline int two_digits(const char* p) noexcept nogil:
    """The number, or 100 and more if these are not two digits."""
    cdef unsigned int high = <uint8_t>(p[0] - c"0")
    cdef unsigned int low = <uint8_t>(p[1] - c"0")
    return <int>(high * 10 + low) if high <= 9 and low <= 9 else 100


cdef bint read_day(const char* p, int64_t* midnight) noexcept nogil:
    cdef int century = two_digits(p)
    cdef int year = two_digits(p + 2)
    cdef int month = two_digits(p + 5)
    cdef int day = two_digits(p + 8)
    cdef int days, shifted, era_day
    if century > 99 or year > 99 or p[4] != c"-" or p[7] != c"-" or not 1 <= month <= 12 or day < 1:
        return False
    year += century * 100
    if not 1970 <= year <= 2261:
        return False
    if month == 2:
        days = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    else:
        days = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if day > days:
        return False
    # Days since 1970-01-01, counted in years that begin in March.
    shifted = year - 1 if month <= 2 else year
    month = month + 9 if month <= 2 else month - 3
    era_day = (153 * month + 2) // 5 + day - 1
    midnight[0] = (
        <int64_t>(365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + era_day - 719468)
        * (86400 * <int64_t>1000000000)
    )
    return True


cdef bint read_timestamp(const char* p, Py_ssize_t size, int64_t* ns) noexcept nogil:
    """RFC 3339 in UTC with 0 to 9 digits of fraction."""
    global known_midnight
    cdef int hour, minute, second
    cdef int64_t fraction = 0, midnight
    cdef Py_ssize_t i, digits = size - 21
    if size < 20 or size > 30 or size == 21 or p[size - 1] != c"Z":
        return False
    if p[10] != c"T" or p[13] != c":" or p[16] != c":":
        return False
    hour = two_digits(p + 11)
    minute = two_digits(p + 14)
    second = two_digits(p + 17)
    if hour > 23 or minute > 59 or second > 59:
        return False
    if digits > 0:
        if p[19] != c".":
            return False
        for i in range(digits):
            if not is_digit(p[20 + i]):
                return False
            fraction = fraction * 10 + (p[20 + i] - c"0")
        for i in range(digits, 9):
            fraction *= 10
    if memcmp(p, known_day, 10) != 0:
        if not read_day(p, &midnight):
            return False
        memcpy(known_day, p, 10)
        known_midnight = midnight
    ns[0] = known_midnight + (hour * 3600 + minute * 60 + second) * <int64_t>1000000000 + fraction
    return True


# --- any JSON: each function is given where something starts, and returns where it ends, or NULL -----------------------


cdef inline const char* skip_space(const char* p) noexcept nogil:
    while p[0] == c" " or p[0] == c"\n" or p[0] == c"\t" or p[0] == c"\r":
        p += 1
    return p


cdef const char* skip_digits(Scan* s, const char* p, const char* end) noexcept nogil:
    """At least one digit."""
    if p >= end or not is_digit(p[0]):
        return wrong(s, p, NUMBER)
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef const char* skip_number(Scan* s, const char* p, const char* end) noexcept nogil:
    """A number that may reach up to `end`."""
    if p < end and p[0] == c"-":
        p += 1
    if p < end and p[0] == c"0":
        p += 1
        if p < end and is_digit(p[0]):
            return fail(s, NUMBER, p)
    else:
        p = skip_digits(s, p, end)
    if p != NULL and p < end and p[0] == c".":
        p = skip_digits(s, p + 1, end)
    if p != NULL and p < end and (p[0] == c"e" or p[0] == c"E"):
        p += 1
        if p < end and (p[0] == c"+" or p[0] == c"-"):
            p += 1
        p = skip_digits(s, p, end)
    return p


cdef int utf8_size(const char* p, const char* end) noexcept nogil:
    """Bytes of the character at `p`, which is not ASCII; 0 if it is none."""
    cdef uint8_t lead = <uint8_t>p[0]
    cdef uint8_t low = 0x80, high = 0xBF
    cdef int size, i
    if lead < 0xC2 or lead > 0xF4:
        return 0
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    if end - p < size or not low <= <uint8_t>p[1] <= high:
        return 0
    for i in range(2, size):
        if <uint8_t>p[i] & 0xC0 != 0x80:
            return 0
    return size


cdef int read_unit(Scan* s, const char* p) noexcept nogil:
    """The value of the four hexadecimal digits of the escape at `p`; -1 if they are not."""
    cdef int i, value = 0
    cdef char c
    if s.end - p < 6:
        return -1
    for i in range(2, 6):
        c = p[i]
        if is_digit(c):
            value = value * 16 + (c - c"0")
        elif c"a" <= (c | 0x20) <= c"f":
            value = value * 16 + ((c | 0x20) - c"a" + 10)
        else:
            return -1
    return value


cdef const char* skip_escape(Scan* s, const char* p) noexcept nogil:
    """What a backslash at `p` begins: a whole surrogate pair, if it is one."""
    cdef int unit
    cdef char kind
    if p + 1 >= s.end:
        return fail(s, END, s.end)
    kind = p[1]
    if kind != c"u":
        if kind != c'"' and kind != c"\\" and kind != c"/" and kind != c"b" and kind != c"f" and kind != c"n" \
                and kind != c"r" and kind != c"t":
            return fail(s, ESCAPE, p)
        return p + 2
    unit = read_unit(s, p)
    if unit < 0:
        return fail(s, ESCAPE, p)
    if 0xDC00 <= unit < 0xE000:
        return fail(s, SURROGATE, p)
    if 0xD800 <= unit < 0xDC00:
        if s.end - p < 8 or p[6] != c"\\" or p[7] != c"u":
            return fail(s, SURROGATE, p)
        unit = read_unit(s, p + 6)
        if unit < 0:
            return fail(s, ESCAPE, p + 6)
        if not 0xDC00 <= unit < 0xE000:
            return fail(s, SURROGATE, p)
        return p + 12
    return p + 6


cdef const char* skip_string(Scan* s, const char* p) noexcept nogil:
    """A string, of valid UTF-8 and without lone surrogates."""
    cdef int size
    cdef uint8_t c
    p += 1
    while True:
        c = <uint8_t>p[0]
        if c >= 0x80:
            size = utf8_size(p, s.end)
            if size == 0:
                return fail(s, UTF8, p)
            p += size
        elif c == c'"':
            return p + 1
        elif c == c"\\":
            p = skip_escape(s, p)
            if p == NULL:
                return NULL
        elif c < 0x20:
            return wrong(s, p, CONTROL)
        else:
            p += 1


cdef const char* skip_literal(Scan* s, const char* p, const char* literal, Py_ssize_t size) noexcept nogil:
    if s.end - p < size or memcmp(p, literal, size) != 0:
        return fail(s, VALUE, p)
    return p + size


cdef const char* skip_value(Scan* s, const char* p, int depth) noexcept nogil:
    """Any value; a container at `p` is the `depth`th around its content."""
    cdef const char* key_end
    cdef char c = p[0]
    if c == c'"':
        return skip_string(s, p)
    if c == c"{":
        p = enter(s, p, depth)
        if p == NULL or p[0] == c"}":
            return leave(p)
        while True:
            p = to_value(s, p, &key_end)
            if p != NULL:
                p = skip_value(s, p, depth + 1)
            p = next_in(s, p, c"}", NEXT_MEMBER)
            if p == NULL or last(p) == c"}":
                return p
    if c == c"[":
        p = enter(s, p, depth)
        if p == NULL or p[0] == c"]":
            return leave(p)
        while True:
            p = next_in(s, skip_value(s, p, depth + 1), c"]", NEXT_ELEMENT)
            if p == NULL or last(p) == c"]":
                return p
    if is_digit(c) or c == c"-":
        return skip_number(s, p, s.end)
    if c == c"t":
        return skip_literal(s, p, b"true", 4)
    if c == c"f":
        return skip_literal(s, p, b"false", 5)
    if c == c"n":
        return skip_literal(s, p, b"null", 4)
    return wrong(s, p, VALUE)


# A container is walked in these steps: `enter`; `leave` at once if it is empty; then per item `to_value` (of an object),
# what the value is, and `next_in`, whose result stands behind either the closing bracket, which `last` tells, or the space after a comma.


cdef const char* enter(Scan* s, const char* p, int depth) noexcept nogil:
    if depth > MAX_NESTING:
        return fail(s, NESTING, p)
    return skip_space(p + 1)


cdef inline const char* leave(const char* p) noexcept nogil:
    return p if p == NULL else p + 1


cdef const char* to_value(Scan* s, const char* p, const char** key_end) noexcept nogil:
    """From a member's key at `p` to its value."""
    if p[0] != c'"':
        return wrong(s, p, KEY)
    p = skip_string(s, p)
    if p == NULL:
        return NULL
    key_end[0] = p
    p = skip_space(p)
    if p[0] != c":":
        return wrong(s, p, COLON)
    return skip_space(p + 1)


cdef const char* next_in(Scan* s, const char* p, char closing, int error) noexcept nogil:
    """From the end of a value to the next item, or behind the closing bracket."""
    if p == NULL:
        return NULL
    p = skip_space(p)
    if p[0] == closing:
        return p + 1
    if p[0] != c",":
        return wrong(s, p, error)
    return skip_space(p + 1)


# --- strings --------------------------------------------------------------------------------------------------------


cdef Py_ssize_t decode(const char* p, const char* end, char* out, Py_ssize_t limit) noexcept nogil:
    """Decode the string whose quotes are at `p` and before `end`; its size, or -1 if it has more than `limit` bytes."""
    cdef Py_ssize_t n = 0
    cdef uint32_t code
    cdef char c
    cdef Scan s
    s.end = end
    p += 1
    end -= 1
    while p < end:
        c = p[0]
        if c != c"\\":
            if n == limit:
                return -1
            out[n] = c
            n += 1
            p += 1
            continue
        c = p[1]
        if c != c"u":
            if n == limit:
                return -1
            if c == c"b":
                c = c"\b"
            elif c == c"f":
                c = c"\f"
            elif c == c"n":
                c = c"\n"
            elif c == c"r":
                c = c"\r"
            elif c == c"t":
                c = c"\t"
            out[n] = c
            n += 1
            p += 2
            continue
        code = <uint32_t>read_unit(&s, p)
        p += 6
        if 0xD800 <= code < 0xDC00:
            code = 0x10000 + ((code - 0xD800) << 10) + (<uint32_t>read_unit(&s, p) - 0xDC00)
            p += 6
        if n + 4 > limit and n + (1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4) > limit:
            return -1
        if code < 0x80:
            out[n] = <char>code
            n += 1
            continue
        if code < 0x800:
            out[n] = <char>(0xC0 | (code >> 6))
            n += 1
        else:
            if code < 0x10000:
                out[n] = <char>(0xE0 | (code >> 12))
                n += 1
            else:
                out[n] = <char>(0xF0 | (code >> 18))
                out[n + 1] = <char>(0x80 | ((code >> 12) & 0x3F))
                n += 2
            out[n] = <char>(0x80 | ((code >> 6) & 0x3F))
            n += 1
        out[n] = <char>(0x80 | (code & 0x3F))
        n += 1
    return n


cdef bint says(const char* p, const char* end, const char* text, Py_ssize_t size) noexcept nogil:
    """Whether the string from `p` to `end` says `text`, which has at most 15 bytes."""
    cdef char decoded[16]
    return decode(p, end, decoded, 16) == size and memcmp(decoded, text, size) == 0


cdef int read_key(const char* p, const char* end) noexcept nogil:
    cdef char decoded[16]
    cdef Py_ssize_t size = decode(p, end, decoded, 16)
    cdef int key
    for key in range(1, KEY_COUNT):
        if size == key_sizes[key] and memcmp(decoded, key_names[key], size) == 0:
            return key
    return OTHER


cdef bint is_book_name(Scan* s, const char* p) noexcept nogil:
    """Whether the value at `p` is a string that says `book-` and a number."""
    cdef char decoded[16]
    cdef Py_ssize_t size, i
    if p[0] != c'"':
        return False
    size = decode(p, skip_string(s, p), decoded, 14)
    if size < 6 or memcmp(decoded, b"book-", 5) != 0:
        return False
    for i in range(5, size):
        if not is_digit(decoded[i]):
            return False
    return True


# --- values; from here on the frame is known to be JSON ----------------------------------------------------------------


cdef const char* read_plain(Scan* s, const char* p, int error, const char** start, const char** end) noexcept nogil:
    """The bytes of a number or within a string, undecoded: what is wanted here needs no escapes."""
    cdef const char* after
    if p[0] == c'"':
        after = skip_string(s, p)
        start[0] = p + 1
        end[0] = after - 1
        return after
    if not is_digit(p[0]) and p[0] != c"-":
        return fail(s, error, p)
    after = skip_number(s, p, s.end)
    start[0] = p
    end[0] = after
    return after


cdef const char* read_decimal(
    Scan* s, const char* p, bint* negative, char* digits, uint8_t* digit_count, uint8_t* digit_scale
) noexcept nogil:
    """A number: its sign, its digits without leading zeros, and how many of them are behind the point."""
    cdef Scan inner
    cdef const char* start = NULL
    cdef const char* end = NULL
    cdef const char* after = read_plain(s, p, WANT_NUMBER, &start, &end)
    cdef Py_ssize_t count = 0, scale = 0, powers = 0
    cdef bint behind = False, down = False
    cdef int power = 0
    if after == NULL:
        return NULL
    inner.end = s.end
    if skip_number(&inner, start, end) != end:
        return fail(s, WANT_NUMBER, p)
    negative[0] = start[0] == c"-"
    if negative[0]:
        start += 1
    while start < end and start[0] != c"e" and start[0] != c"E":
        if start[0] == c".":
            behind = True
        else:
            scale += behind
            if count or start[0] != c"0":
                if count < MAX_DIGITS:
                    digits[count] = start[0]
                count += 1
        start += 1
    if start < end:
        start += 1
        if start[0] == c"+" or start[0] == c"-":
            down = start[0] == c"-"
            start += 1
        while start < end:
            if powers or start[0] != c"0":
                powers += 1
                if powers <= 2:
                    power = power * 10 + (start[0] - c"0")
            start += 1
    if count > MAX_DIGITS or powers > 2:
        return fail(s, RANGE, p)
    scale += power if down else -power
    if scale < 0:
        if count:
            if count - scale > MAX_DIGITS:
                return fail(s, RANGE, p)
            memset(digits + count, c"0", -scale)
            count -= scale
        scale = 0
    if scale > MAX_FRACTION or count - scale > MAX_WHOLE:
        return fail(s, RANGE, p)
    digit_count[0] = <uint8_t>count
    digit_scale[0] = <uint8_t>scale
    return after


cdef const char* read_price(Scan* s, const char* p, Level* level) noexcept nogil:
    cdef bint negative = False
    cdef i128 value = 0
    cdef int i
    cdef const char* p_at = p
    p = read_decimal(s, p, &negative, level.text.digits, &level.text.price_len, &level.text.price_scale)
    if p == NULL:
        return NULL
    if negative or level.text.price_len == 0:
        return fail(s, POSITIVE, p_at)
    for i in range(level.text.price_len):
        value = value * 10 + (level.text.digits[i] - c"0")
    level.key = value * <i128>power_of_ten[MAX_FRACTION - level.text.price_scale]
    return p


cdef const char* read_qty(Scan* s, const char* p, char* digits, Level* level) noexcept nogil:
    """A quantity, its digits to `digits`: the price before which they belong may not be known yet."""
    cdef bint negative = False
    cdef const char* p_at = p
    p = read_decimal(s, p, &negative, digits, &level.text.qty_len, &level.text.qty_scale)
    if p != NULL and negative:
        return fail(s, SIGN, p_at)
    return p


cdef const char* read_checksum(Scan* s, const char* p, Element* element) noexcept nogil:
    cdef const char* start = NULL
    cdef const char* end = NULL
    cdef const char* after = read_plain(s, p, WANT_CHECKSUM, &start, &end)
    cdef uint64_t value = 0
    if after == NULL:
        return NULL
    if not 1 <= end - start <= 10 or (start[0] == c"0" and end - start > 1):
        return fail(s, WANT_CHECKSUM, p)
    while start < end:
        if not is_digit(start[0]):
            return fail(s, WANT_CHECKSUM, p)
        value = value * 10 + <uint64_t>(start[0] - c"0")
        start += 1
    if value > <uint64_t>0xFFFFFFFF:
        return fail(s, WANT_CHECKSUM, p)
    element.checksum = <uint32_t>value
    element.has_checksum = True
    return after


cdef const char* read_seconds(Scan* s, const char* p, int64_t* ns) noexcept nogil:
    """v1's time of a level: seconds since the epoch, as nanoseconds."""
    cdef const char* start = NULL
    cdef const char* end = NULL
    cdef const char* after = read_plain(s, p, SECONDS, &start, &end)
    cdef const char* digits = start
    cdef int64_t value = 0, fraction = 0
    cdef Py_ssize_t i, size
    if after == NULL:
        return NULL
    while start < end and is_digit(start[0]):
        if start - digits >= 10:
            return fail(s, SECONDS, p)
        value = value * 10 + (start[0] - c"0")
        start += 1
    if start == digits or (digits[0] == c"0" and start - digits > 1) or value > MAX_SECONDS:
        return fail(s, SECONDS, p)
    if start < end:
        size = end - start - 1
        if start[0] != c"." or not 1 <= size <= 9:
            return fail(s, SECONDS, p)
        for i in range(9):
            if i < size and not is_digit(start[1 + i]):
                return fail(s, SECONDS, p)
            fraction = fraction * 10 + (start[1 + i] - c"0" if i < size else 0)
    ns[0] = value * <int64_t>1000000000 + fraction
    return after


# --- levels ---------------------------------------------------------------------------------------------------------


cdef const char* read_member(Scan* s, const char* p, uint32_t known, uint32_t* seen, int* key) noexcept nogil:
    """From a member's key at `p` to its value; `key` is which of the `known` ones, or OTHER."""
    cdef const char* key_at = p
    cdef const char* key_end = NULL
    p = to_value(s, p, &key_end)
    if p == NULL:
        return NULL
    key[0] = read_key(key_at, key_end)
    if not known >> key[0] & 1:
        key[0] = OTHER
    elif seen[0] >> key[0] & 1:
        s.key = key[0]
        return fail(s, DUPLICATE, key_at)
    seen[0] |= <uint32_t>1 << key[0]
    return p


cdef const char* require(Scan* s, const char* p, const char* at, uint32_t seen, int key) noexcept nogil:
    """`p`, if the object that began at `at` had `key`."""
    if p == NULL or seen >> key & 1:
        return p
    s.key = key
    return fail(s, MISSING, at)


cdef void join_level(Level* level, const char* qty) noexcept nogil:
    memcpy(level.text.digits + level.text.price_len, qty, level.text.qty_len)


cdef const char* read_level(Scan* s, const char* p) noexcept nogil:
    """`{"price": …, "qty": …}` with keys in any order."""
    cdef const char* at = p
    cdef Level* level = new_level(s)
    cdef char qty[MAX_DIGITS]
    cdef uint32_t seen = 0
    cdef int key = OTHER
    if level == NULL:
        return NULL
    if p[0] != c"{":
        return fail(s, WANT_OBJECT, p)
    p = enter(s, p, 0)
    if p[0] == c"}":
        p = leave(p)
    else:
        while True:
            p = read_member(s, p, 1 << PRICE_KEY | 1 << QTY_KEY, &seen, &key)
            if p == NULL:
                return NULL
            if key == PRICE_KEY:
                p = read_price(s, p, level)
            elif key == QTY_KEY:
                p = read_qty(s, p, qty, level)
            else:
                p = skip_value(s, p, 0)
            p = next_in(s, p, c"}", NEXT_MEMBER)
            if p == NULL or last(p) == c"}":
                break
    p = require(s, require(s, p, at, seen, PRICE_KEY), at, seen, QTY_KEY)
    if p != NULL:
        join_level(level, qty)
    return p


cdef const char* read_v1_level(Scan* s, const char* p, Element* element) noexcept nogil:
    """`[price, qty, time, …]`."""
    cdef const char* at = p
    cdef Level* level = new_level(s)
    cdef char qty[MAX_DIGITS]
    cdef int64_t ns = 0
    cdef Py_ssize_t index = 0
    if level == NULL:
        return NULL
    if p[0] != c"[":
        return fail(s, WANT_ARRAY, p)
    p = enter(s, p, 0)
    if p[0] == c"]":
        return fail(s, V1_LEVEL, at)
    while True:
        if index == 0:
            p = read_price(s, p, level)
        elif index == 1:
            p = read_qty(s, p, qty, level)
        elif index == 2:
            p = read_seconds(s, p, &ns)
        else:
            p = skip_value(s, p, 0)
        p = next_in(s, p, c"]", NEXT_ELEMENT)
        if p == NULL:
            return NULL
        index += 1
        if last(p) == c"]":
            break
    if index < 3:
        return fail(s, V1_LEVEL, at)
    join_level(level, qty)
    if not element.has_ns or ns > element.ns:
        element.has_ns = True
        element.ns = ns
    return p


cdef const char* read_levels(Scan* s, const char* p, Element* element, int side, bint v1) noexcept nogil:
    if p[0] != c"[":
        return fail(s, WANT_ARRAY, p)
    element.first[side] = s.level_count
    p = enter(s, p, 0)
    if p[0] == c"]":
        return leave(p)
    while True:
        p = read_v1_level(s, p, element) if v1 else read_level(s, p)
        p = next_in(s, p, c"]", NEXT_ELEMENT)
        if p == NULL:
            return NULL
        if last(p) == c"]":
            break
    element.count[side] = s.level_count - element.first[side]
    return p


# --- whole frames ---------------------------------------------------------------------------------------------------


cdef const char* read_symbol(Scan* s, const char* p, Table* table, Element* element) noexcept nogil:
    cdef char name[MAX_SYMBOL]
    cdef const char* after
    cdef Py_ssize_t size
    if p[0] != c'"':
        return fail(s, WANT_STRING, p)
    after = skip_string(s, p)
    size = decode(p, after, name, MAX_SYMBOL)
    if size < 0:
        return fail(s, SYMBOL, p)
    element.symbol = p
    element.state = table_find(table, name, size)
    return after


cdef const char* read_time(Scan* s, const char* p, Element* element) noexcept nogil:
    cdef const char* after
    if p[0] != c'"':
        return fail(s, TIMESTAMP, p)
    after = skip_string(s, p)
    if not read_timestamp(p + 1, after - p - 2, &element.ns):
        return fail(s, TIMESTAMP, p)
    element.has_ns = True
    return after


cdef const char* read_element(Scan* s, const char* p, Table* table, bint snapshot) noexcept nogil:
    cdef const char* at = p
    cdef Element* element
    cdef uint32_t seen = 0
    cdef int key = OTHER
    if p[0] != c"{":
        return fail(s, WANT_OBJECT, p)
    element = new_element(s)
    if element == NULL:
        return NULL
    element.snapshot = snapshot
    p = enter(s, p, 0)
    if p[0] == c"}":
        p = leave(p)
    else:
        while True:
            p = read_member(
                s, p,
                1 << SYMBOL_KEY | 1 << BIDS_KEY | 1 << ASKS_KEY | 1 << CHECKSUM_KEY | 1 << TIMESTAMP_KEY,
                &seen, &key,
            )  # fmt: skip
            if p == NULL:
                return NULL
            if key == SYMBOL_KEY:
                p = read_symbol(s, p, table, element)
            elif key == BIDS_KEY:
                p = read_levels(s, p, element, BIDS, False)
            elif key == ASKS_KEY:
                p = read_levels(s, p, element, ASKS, False)
            elif key == CHECKSUM_KEY:
                p = read_checksum(s, p, element)
            elif key == TIMESTAMP_KEY:
                p = read_time(s, p, element)
            else:
                p = skip_value(s, p, 0)
            p = next_in(s, p, c"}", NEXT_MEMBER)
            if p == NULL or last(p) == c"}":
                break
    return require(s, require(s, p, at, seen, SYMBOL_KEY), at, seen, CHECKSUM_KEY)


cdef void scan_v2(Scan* s, const char* p, Table* table) noexcept nogil:
    """An object whose channel is `book` (PROTOCOL 3.5)."""
    cdef const char* at = p
    cdef const char* key_at
    cdef const char* key_end = NULL
    cdef const char* value
    cdef const char* place[4]
    cdef const char* repeated = NULL
    cdef int key
    cdef bint snapshot
    memset(place, 0, sizeof(place))
    p = enter(s, p, 1)
    if p[0] == c"}":
        return
    while True:
        key_at = p
        value = to_value(s, p, &key_end)
        if value == NULL:
            return
        p = skip_value(s, value, 2)
        if p == NULL:
            return
        key = read_key(key_at, key_end)
        if key == CHANNEL_KEY or key == TYPE_KEY or key == DATA_KEY:
            if place[key] != NULL and repeated == NULL:
                repeated = key_at
                s.key = key
            place[key] = value
            if key == CHANNEL_KEY and value[0] == c'"' and says(value, p, b"book", 4):
                s.book = True
        p = next_in(s, p, c"}", NEXT_MEMBER)
        if p == NULL:
            return
        if last(p) == c"}":
            break
    if skip_space(p) != s.end:
        fail(s, GARBAGE, skip_space(p))
        return
    if not s.book:
        return
    if repeated != NULL:
        fail(s, DUPLICATE, repeated)
        return
    for key in range(TYPE_KEY, DATA_KEY + 1):
        if place[key] == NULL:
            s.key = key
            fail(s, MISSING, at)
            return
    p = place[TYPE_KEY]
    if p[0] != c'"':
        fail(s, WANT_STRING, p)
        return
    snapshot = says(p, skip_string(s, p), b"snapshot", 8)
    if not snapshot and not says(p, skip_string(s, p), b"update", 6):
        fail(s, TYPE, p)
        return
    p = place[DATA_KEY]
    if p[0] != c"[":
        fail(s, WANT_ARRAY, p)
        return
    p = enter(s, p, 0)
    if p[0] == c"]":
        return
    while True:
        p = next_in(s, read_element(s, p, table, snapshot), c"]", NEXT_ELEMENT)
        if p == NULL or last(p) == c"]":
            return


cdef const char* read_payload(Scan* s, const char* p, Element* element, uint32_t* seen) noexcept nogil:
    """One of v1's objects; the keys `seen` are those of all of them."""
    cdef int key = OTHER
    if p[0] != c"{":
        return fail(s, WANT_OBJECT, p)
    p = enter(s, p, 0)
    if p[0] == c"}":
        return leave(p)
    while True:
        p = read_member(
            s, p, 1 << AS_KEY | 1 << BS_KEY | 1 << A_KEY | 1 << B_KEY | 1 << C_KEY, seen, &key
        )
        if p == NULL:
            return NULL
        if key == AS_KEY or key == A_KEY:
            p = read_levels(s, p, element, ASKS, True)
        elif key == BS_KEY or key == B_KEY:
            p = read_levels(s, p, element, BIDS, True)
        elif key == C_KEY:
            p = read_checksum(s, p, element)
        else:
            p = skip_value(s, p, 0)
        p = next_in(s, p, c"}", NEXT_MEMBER)
        if p == NULL or last(p) == c"}":
            return p


cdef void scan_v1(Scan* s, const char* p, Table* table) noexcept nogil:
    """An array with `book-N` last but one (PROTOCOL 7.2)."""
    cdef const char* at = p
    cdef const char* value
    cdef const char* pair = NULL
    cdef const char* name = NULL
    cdef Element* element
    cdef uint32_t seen = 0
    cdef int key = OTHER
    cdef Py_ssize_t index, count = 0
    cdef bint snapshot
    s.v1 = True
    p = enter(s, p, 1)
    if p[0] == c"]":
        return
    while True:
        value = p
        p = skip_value(s, p, 2)
        if p == NULL:
            return
        count += 1
        name, pair = pair, value
        if is_book_name(s, value):
            s.book = True
        p = next_in(s, p, c"]", NEXT_ELEMENT)
        if p == NULL:
            return
        if last(p) == c"]":
            break
    if skip_space(p) != s.end:
        fail(s, GARBAGE, skip_space(p))
        return
    if not s.book:
        return
    if count < 4 or not is_book_name(s, name):
        fail(s, V1_SHAPE, at)
        return
    p = enter(s, at, 0)
    if not is_digit(p[0]) and p[0] != c"-":
        fail(s, WANT_NUMBER, p)
        return
    p = next_in(s, skip_value(s, p, 0), c"]", NEXT_ELEMENT)
    element = new_element(s)
    if element == NULL:
        return
    for index in range(count - 3):
        p = read_payload(s, p, element, &seen)
        if p == NULL:
            return
        p = next_in(s, p, c"]", NEXT_ELEMENT)
    snapshot = (seen & (1 << AS_KEY | 1 << BS_KEY)) != 0
    if snapshot and seen & (1 << A_KEY | 1 << B_KEY):
        fail(s, MIXED, at)
        return
    element.snapshot = snapshot
    read_symbol(s, pair, table, element)


cdef void scan_frame(Scan* s, Table* table) noexcept nogil:
    """Whatever the frame is: `s.book` says whether it is a book's, `s.error` whether it is broken."""
    cdef const char* p = skip_space(s.start)
    if p[0] == c"{":
        scan_v2(s, p, table)
    elif p[0] == c"[":
        scan_v1(s, p, table)


# --- what Kraken sends, to the byte ------------------------------------------------------------------------------------


cdef inline bint literal(const char** p, const char* end, const char* text, Py_ssize_t size) noexcept nogil:
    """Whether `text` stands at `p`; if so, `p` goes behind it."""
    if end - p[0] < size or memcmp(p[0], text, size) != 0:
        return False
    p[0] += size
    return True


cdef inline const char* quick_number(
    const char* p, char* digits, uint8_t* digit_count, uint8_t* digit_scale, uint64_t* value
) noexcept nogil:
    """A plain number of at most 18 digits; NULL if it is anything else, right or wrong."""
    cdef const char* limit = p + 20
    cdef const char* point
    cdef unsigned int digit = <uint8_t>(p[0] - c"0")
    cdef unsigned int n = 0
    cdef uint64_t v = 0
    if digit == 0:
        p += 1
        if is_digit(p[0]):
            return NULL
    else:
        if digit > 9:
            return NULL
        while digit <= 9 and p < limit:
            digits[n] = p[0]
            n += 1
            v = v * 10 + digit
            p += 1
            digit = <uint8_t>(p[0] - c"0")
    if p[0] == c".":
        p += 1
        point = p
        digit = <uint8_t>(p[0] - c"0")
        while digit <= 9 and p < limit:
            v = v * 10 + digit
            digits[n] = p[0]
            n += v != 0
            p += 1
            digit = <uint8_t>(p[0] - c"0")
        if p == point:
            return NULL
        digit_scale[0] = <uint8_t>(p - point)
    else:
        digit_scale[0] = 0
    if p >= limit or n > 18:
        return NULL
    digit_count[0] = <uint8_t>n
    value[0] = v
    return p


cdef inline const char* quick_levels(
    Scan* s, const char* p, Py_ssize_t* first, Py_ssize_t* count
) noexcept nogil:
    """From behind the opening bracket to behind the closing one."""
    cdef Level* level
    cdef uint64_t price = 0, qty = 0
    first[0] = s.level_count
    if p[0] == c"]":
        count[0] = 0
        return p + 1
    while True:
        if not literal(&p, s.end, b'{"price":', 9):
            return NULL
        if s.level_count == s.level_capacity:
            level = new_level(s)
            if level == NULL:
                return NULL
            s.level_count -= 1
        level = &s.levels[s.level_count]
        p = quick_number(p, level.text.digits, &level.text.price_len, &level.text.price_scale, &price)
        if p == NULL or price == 0 or not literal(&p, s.end, b',"qty":', 7):
            return NULL
        p = quick_number(
            p, level.text.digits + level.text.price_len, &level.text.qty_len, &level.text.qty_scale, &qty
        )
        if p == NULL or p[0] != c"}":
            return NULL
        level.key = <i128>price * <i128>power_of_ten[MAX_FRACTION - level.text.price_scale]
        s.level_count += 1
        p += 2
        if last(p) == c",":
            continue
        if last(p) != c"]":
            return NULL
        count[0] = s.level_count - first[0]
        return p


cdef bint scan_canonical(Scan* s, Table* table) noexcept nogil:
    """Take a frame of exactly the shape that Kraken sends; False, with nothing taken, for any other."""
    cdef const char* p = s.start
    cdef const char* end = s.end
    cdef const char* quote
    cdef Element* element
    cdef uint64_t checksum = 0
    cdef bint snapshot = False
    if not literal(&p, end, b'{"channel":"book","type":"', 26):
        return False
    if not literal(&p, end, b'update","data":[{"symbol":"', 27):
        snapshot = True
        if not literal(&p, end, b'snapshot","data":[{"symbol":"', 29):
            return False
    quote = p
    while quote < end and quote[0] != c'"':
        quote += 1
    element = new_element(s)
    if element == NULL:
        return False
    element.snapshot = snapshot
    element.symbol = p - 1
    element.state = table_find(table, p, quote - p)
    if element.state == NULL:
        return False
    p = quote
    if not literal(&p, end, b'","bids":[', 10):
        return False
    p = quick_levels(s, p, &element.first[BIDS], &element.count[BIDS])
    if p == NULL or not literal(&p, end, b',"asks":[', 9):
        return False
    p = quick_levels(s, p, &element.first[ASKS], &element.count[ASKS])
    if p == NULL or not literal(&p, end, b',"checksum":', 12):
        return False
    quote = p
    while is_digit(p[0]) and p - quote < 11:
        checksum = checksum * 10 + <uint64_t>(p[0] - c"0")
        p += 1
    if p == quote or (quote[0] == c"0" and p - quote > 1) or checksum > <uint64_t>0xFFFFFFFF:
        return False
    element.checksum = <uint32_t>checksum
    element.has_checksum = True
    if literal(&p, end, b',"timestamp":"', 14):
        if end - p < 20:
            return False
        quote = p + 20                                  # no time is shorter
        while quote < end and quote[0] != c'"':
            quote += 1
        if not read_timestamp(p, quote - p, &element.ns):
            return False
        element.has_ns = True
        p = quote
        return literal(&p, end, b'"}]}', 4) and p == end
    return literal(&p, end, b"}]}", 3) and p == end
