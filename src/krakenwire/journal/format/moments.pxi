# The `at` line of a block, read moment by moment as they are asked for: so nothing large is made of a large figure.

cdef inline const char* read_digits(const char* p, const char* end, int most, i128* number) noexcept nogil:
    """One to `most` digits, of which there are no more than 20; NULL if there are none, or more."""
    cdef uint64_t value = 0
    cdef const char* start = p
    cdef const char* fast = min(end, p + min(most, 19))
    while p < fast and c"0" <= p[0] <= c"9":
        value = value * 10 + <uint64_t>(p[0] - c"0")
        p += 1
    number[0] = value
    if p < end and c"0" <= p[0] <= c"9" and p - start < most:
        number[0] = number[0] * 10 + (p[0] - c"0")
        p += 1
    if p == start or (p < end and c"0" <= p[0] <= c"9"):
        return NULL
    return p


@cython.final
cdef class Moments:
    """Where in the line the reader is, and the last moment that was read."""

    cdef const char* text      # of the block
    cdef const char* p
    cdef const char* end
    cdef bint has_more
    cdef long long left        # how many more inputs the last moment is of
    cdef str connection
    cdef object epoch
    cdef object stamp
    cdef int64_t ns
    cdef int64_t mono
    cdef list places

    def __cinit__(self, head):
        self.ns = head.received_ns
        self.mono = head.received_mono_ns
        self.places = head.places

    cdef bint advance(self) except -1:
        """Read the next moment, of one input more than `left` says; False if there is none."""
        cdef const char* p = self.p
        cdef const char* letters = p
        cdef i128 passed = 0, drift = 0, repeats = 1, ns, mono
        cdef bint is_negative
        cdef size_t letter_count
        if not self.has_more:
            return False
        while p < self.end and c"a" <= p[0] <= c"z":
            p += 1
        letter_count = p - letters
        is_negative = p < self.end and p[0] == c"-"
        p = read_digits(p + is_negative, self.end, 20, &passed)
        if is_negative:
            passed = -passed
        if p != NULL and p < self.end and (p[0] == c"+" or p[0] == c"-"):
            is_negative = p[0] == c"-"
            p = read_digits(p + 1, self.end, 20, &drift)
            if is_negative:
                drift = -drift
        if p != NULL and p < self.end and p[0] == c"*":
            p += 1
            if p < self.end and p[0] != c"0":
                p = read_digits(p, self.end, 18, &repeats)
            else:
                p = NULL
        if p == NULL or (p < self.end and p[0] != c" "):
            raise FrameError(said.NO_MOMENT, self.p - self.text)
        if letter_count:
            self.enter(letters, letter_count)
        elif self.connection is None:
            raise FrameError(said.NO_PLACE, self.p - self.text)
        mono = self.mono + passed
        ns = self.ns + passed + drift
        if not (LEAST <= mono <= MOST and LEAST <= ns <= MOST):
            raise FrameError(said.TOO_LARGE, self.p - self.text)
        self.mono = <int64_t>mono
        self.ns = <int64_t>ns
        self.stamp = Stamp(self.connection, self.epoch, self.ns, self.mono)
        self.left = <long long>repeats - 1
        self.has_more = p < self.end
        self.p = p + self.has_more
        return True

    cdef int enter(self, const char* letters, size_t count) except -1:
        """Be at the place of that code."""
        cdef Py_ssize_t number = 0
        cdef size_t i
        if count <= 7:
            for i in range(count):
                number = number * 26 + (letters[i] - 96)
        if not 0 < number <= len(self.places):
            raise FrameError(said.NO_PLACE, self.p - self.text)
        place = self.places[number - 1]
        self.connection = place.connection
        self.epoch = place.epoch
        return 0
