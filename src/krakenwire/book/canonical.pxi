# The fast way into a frame: only the exact shape that Kraken sends; any other is left to `scan_frame`, which judges.

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
