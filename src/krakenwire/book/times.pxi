# Timestamps: RFC 3339 text in UTC to nanoseconds since the epoch.

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
