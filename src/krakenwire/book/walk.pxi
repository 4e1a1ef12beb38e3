# A walk over JSON text: pure/walk.py in C. Each function is given where something starts, and returns where it ends, or
# NULL after `fail`. A frame is a bytes object's content, so a NUL stands behind its last byte and ends every run.

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
