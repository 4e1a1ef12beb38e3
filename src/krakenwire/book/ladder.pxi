# One side of a book: a sorted array of keys with the best last, beside an array of slots in a pool of level texts.
#
# A key is the price times 10^18 in 128 bits, an ask's is negated. Work near the best moves little memory, and because
# there is room at both ends, dropping the worst levels or adding worse ones moves none.

cdef struct Text:              # one level, as the checksum wants it: no point, no leading zeros
    uint8_t price_len
    uint8_t qty_len            # 0: the quantity is zero, the level is to be deleted
    uint8_t price_scale        # how many of the digits are behind the point
    uint8_t qty_scale
    char digits[60]            # of the price, then of the quantity; at most 28 each

cdef struct Ladder:
    i128* keys
    uint32_t* slots            # keys[i]'s text is pool[slots[i]]
    uint32_t* spare            # the slots that are free
    Text* pool
    Py_ssize_t head            # where the worst level is
    Py_ssize_t count
    Py_ssize_t spares
    Py_ssize_t capacity
    bint dirty                 # the top ten may have changed since the checksum was computed


cdef void ladder_free(Ladder* side) noexcept nogil:
    free(side.keys)
    free(side.slots)
    free(side.spare)
    free(side.pool)
    memset(side, 0, sizeof(Ladder))


cdef void ladder_clear(Ladder* side) noexcept nogil:
    cdef Py_ssize_t i
    side.count = 0
    side.head = side.capacity - side.capacity // 4      # a snapshot comes best first and grows downwards
    side.spares = side.capacity
    for i in range(side.capacity):
        side.spare[i] = <uint32_t>(side.capacity - 1 - i)
    side.dirty = True


cdef bint ladder_resize(Ladder* side, Py_ssize_t capacity) noexcept nogil:
    """Give it room for `capacity` levels, at least as many as it holds. False, and no change, if there is no memory."""
    cdef Ladder new
    cdef Py_ssize_t i
    memset(&new, 0, sizeof(Ladder))
    new.keys = <i128*>malloc(capacity * sizeof(i128))
    new.slots = <uint32_t*>malloc(capacity * sizeof(uint32_t))
    new.spare = <uint32_t*>malloc(capacity * sizeof(uint32_t))
    new.pool = <Text*>malloc(capacity * sizeof(Text))
    if new.keys == NULL or new.slots == NULL or new.spare == NULL or new.pool == NULL:
        ladder_free(&new)
        return False
    new.capacity = capacity
    ladder_clear(&new)
    new.count = side.count
    new.head = (capacity - side.count) // 2
    new.spares = capacity - side.count
    new.dirty = side.dirty
    for i in range(side.count):
        new.keys[new.head + i] = side.keys[side.head + i]
        new.slots[new.head + i] = new.spare[capacity - 1 - i]
        new.pool[new.slots[new.head + i]] = side.pool[side.slots[side.head + i]]
    ladder_free(side)
    side[0] = new
    return True


cdef inline void ladder_move(Ladder* side, Py_ssize_t to, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    if n > 12:
        memmove(side.keys + to, side.keys + start, n * sizeof(i128))
        memmove(side.slots + to, side.slots + start, n * sizeof(uint32_t))
    elif to > start:                                    # a call costs more than so few moves
        for i in range(n - 1, -1, -1):
            side.keys[to + i] = side.keys[start + i]
            side.slots[to + i] = side.slots[start + i]
    else:
        for i in range(n):
            side.keys[to + i] = side.keys[start + i]
            side.slots[to + i] = side.slots[start + i]


cdef inline Py_ssize_t ladder_find(const i128* keys, Py_ssize_t n, i128 key) noexcept nogil:
    """Where the first key is that is not below `key`: found by galloping from the best, then by halving."""
    cdef Py_ssize_t step = 1, low, high, middle
    while step <= n and keys[n - step] >= key:
        step <<= 1
    low = n - step + 1 if step <= n else 0
    high = n - (step >> 1)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline void ladder_apply(Ladder* side, i128 key, const Text* text) noexcept nogil:
    """Set or delete one level. There is room for it."""
    cdef Py_ssize_t n = side.count
    cdef Py_ssize_t at = ladder_find(side.keys + side.head, n, key)
    cdef Py_ssize_t above = n - at                      # levels that are as good or better
    cdef Py_ssize_t head
    cdef uint32_t slot
    if above and side.keys[side.head + at] == key:
        side.dirty |= above <= TOP
        if text.qty_len:
            side.pool[side.slots[side.head + at]] = text[0]
            return
        side.spare[side.spares] = side.slots[side.head + at]
        side.spares += 1
        side.count = n - 1
        if above <= at:
            ladder_move(side, side.head + at, side.head + at + 1, above - 1)
        else:
            ladder_move(side, side.head + 1, side.head, at)
            side.head += 1
        return
    if text.qty_len == 0:
        return
    side.dirty |= above < TOP
    if side.head == 0 if at < above else side.head + n == side.capacity:
        head = (side.capacity - n) >> 1                 # that end is full: back to the middle
        ladder_move(side, head, side.head, n)
        side.head = head
    if side.head > 0 and (at < above or side.head + n == side.capacity):
        side.head -= 1
        ladder_move(side, side.head, side.head + 1, at)
    else:
        ladder_move(side, side.head + at + 1, side.head + at, above)
    side.spares -= 1
    slot = side.spare[side.spares]
    side.keys[side.head + at] = key
    side.slots[side.head + at] = slot
    side.pool[slot] = text[0]
    side.count = n + 1


cdef inline void ladder_truncate(Ladder* side, Py_ssize_t depth) noexcept nogil:
    """Keep the best `depth` levels."""
    while side.count > depth:
        side.spare[side.spares] = side.slots[side.head]
        side.spares += 1
        side.head += 1
        side.count -= 1


cdef inline const Text* ladder_text(const Ladder* side, Py_ssize_t rank) noexcept nogil:
    """The level with `rank` better ones; it exists."""
    return &side.pool[side.slots[side.head + side.count - 1 - rank]]


cdef inline Py_ssize_t ladder_top(const Ladder* side, char* out) noexcept nogil:
    """Write what the checksum covers, the top ten, to `out`, which has room for TOP_TEXT; how long it is."""
    cdef Py_ssize_t rank, n = 0
    cdef const Text* text
    for rank in range(min(side.count, TOP)):
        text = ladder_text(side, rank)
        memcpy(out + n, text.digits, sizeof(text.digits))
        n += text.price_len + text.qty_len
    return n


cdef inline Py_ssize_t at_precision(char* out, const char* digits, int n, int scale, int precision) noexcept nogil:
    """Digits as they are at `precision`: zeros are added or dropped at the end, but never anything else."""
    memcpy(out, digits, n)
    while scale < precision:
        out[n] = c"0"
        n += 1
        scale += 1
    while scale > precision and n and out[n - 1] == c"0":
        n -= 1
        scale -= 1
    return n


cdef Py_ssize_t ladder_top_at(const Ladder* side, char* out, int price_precision, int qty_precision) noexcept nogil:
    """`ladder_top` with numbers as they are at the instrument's precisions."""
    cdef Py_ssize_t rank, n = 0
    cdef const Text* text
    for rank in range(min(side.count, TOP)):
        text = ladder_text(side, rank)
        n += at_precision(out + n, text.digits, text.price_len, text.price_scale, price_precision)
        n += at_precision(out + n, text.digits + text.price_len, text.qty_len, text.qty_scale, qty_precision)
    return n
