# Bytes that are put together; what has room keeps it.

cdef struct Buffer:
    char* data
    size_t size
    size_t room


cdef inline bint make_room(Buffer* buffer, size_t more) noexcept nogil:
    """Room for `more` bytes; False where there is no memory."""
    return buffer.room - buffer.size >= more or grow(buffer, more)


cdef bint grow(Buffer* buffer, size_t more) noexcept nogil:
    cdef size_t room = max(2 * buffer.room, buffer.size + more, <size_t>4096)
    cdef char* data = <char*>realloc(buffer.data, room)
    if data == NULL:
        return False
    buffer.data = data
    buffer.room = room
    return True


cdef inline void put(Buffer* buffer, const char* data, size_t size) noexcept nogil:
    memcpy(buffer.data + buffer.size, data, size)
    buffer.size += size


cdef inline void put_char(Buffer* buffer, char character) noexcept nogil:
    buffer.data[buffer.size] = character
    buffer.size += 1


cdef void put_number(Buffer* buffer, i128 number) noexcept nogil:
    """In decimal, at most 21 characters: what two times of 64 bits can be apart."""
    cdef char digits[24]
    cdef int at = 24
    cdef uint64_t rest
    cdef i128 large
    if number < 0:
        put_char(buffer, c"-")
        number = -number
    large = number
    while large >> 64:
        at -= 1
        digits[at] = <char>(c"0" + <int>(large % 10))
        large = large / 10
    rest = <uint64_t>large
    while True:
        at -= 1
        digits[at] = <char>(c"0" + rest % 10)
        rest = rest / 10
        if rest == 0:
            break
    put(buffer, digits + at, 24 - at)


cdef inline void empty(Buffer* buffer) noexcept nogil:
    """Forget the content; room that was wanted once is given back."""
    buffer.size = 0
    if buffer.room > KEPT:
        free(buffer.data)
        buffer.data = NULL
        buffer.room = 0
