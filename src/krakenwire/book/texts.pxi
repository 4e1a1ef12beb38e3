# What the digest of events has of book updates: many at once, as one text.

cdef enum:
    MAX_FIGURES = 320          # what stands before a frame, but for the symbol: four numbers of at most 48, and words


cdef inline char* put(char* out, const char* text, Py_ssize_t size) noexcept:
    memcpy(out, text, size)
    return out + size


cdef inline char* put_number(char* out, long long number) noexcept:
    cdef char text[24]
    cdef int at = 24
    cdef uint64_t rest = <uint64_t>number
    if number < 0:
        out[0] = c"-"
        out += 1
        rest = 0 - rest
    while True:
        at -= 1
        text[at] = <char>(c"0" + rest % 10)
        rest //= 10
        if rest == 0:
            return put(out, text + at, 24 - at)


cdef inline char* put_level(char* out, const Text* text) noexcept:
    """Price and quantity, canonical, and a blank behind each; only the blanks if there is no level."""
    if text.price_len:
        out += write_plain(out, text.digits, text.price_len, text.price_scale, True)
    out[0] = c" "
    out += 1
    if text.price_len:
        out += write_plain(out, text.digits + text.price_len, text.qty_len, text.qty_scale, True)
    out[0] = c" "
    return out + 1


cdef char* put_update(char* out, BookUpdate update) except NULL:
    cdef Py_ssize_t size
    cdef const char* word
    out = put(out, b"\nBookUpdate ", 12)
    out = put_number(out, update.seq)
    out = put(out, b" ", 1)
    word = PyUnicode_AsUTF8AndSize(update.symbol, &size)
    out = put(out, word, size)
    out = put(out, b" ", 1)
    word = PyUnicode_AsUTF8AndSize(<str>OUTCOMES[update.result], &size)
    out = put(out, word, size)
    out = put(out, b" ", 1)
    out = put_level(out, &update.bid)
    out = put_level(out, &update.ask)
    return put(out, PyBytes_AS_STRING(update.frame), PyBytes_GET_SIZE(update.frame))


def update_texts(list events not None, Py_ssize_t start, Py_ssize_t stop):
    """The text of the updates from `start` up to the first event that is none, and its place; see pure/update.py."""
    cdef Py_ssize_t i, word, size = 0
    cdef char* begin
    cdef char* out
    stop = min(stop, <Py_ssize_t>len(events))
    for i in range(start, stop):
        if type(events[i]) is not BookUpdate:
            stop = i
            break
        PyUnicode_AsUTF8AndSize((<BookUpdate>events[i]).symbol, &word)
        size += MAX_FIGURES + word + PyBytes_GET_SIZE((<BookUpdate>events[i]).frame)
    if stop <= start:
        return b"", start
    begin = <char*>malloc(size)
    if begin == NULL:
        raise MemoryError
    try:
        out = begin
        for i in range(start, stop):
            out = put_update(out, <BookUpdate>events[i])
        return PyBytes_FromStringAndSize(begin, out - begin), stop
    finally:
        free(begin)
