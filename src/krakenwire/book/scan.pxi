# The frame scanner: pure/scan.py in C, where the commentary is. It gives the same reason and offset for whatever is wrong.

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
