# CRC-32/ISO-HDLC, zlib's (PROTOCOL 6.1). A checksum's text has some 250 bytes, for which calling zlib through Python
# costs more than the sum itself; with tables alone it is a quarter of all the time a message takes.

cdef extern from "crc_fold.h":
    int crc_can_fold() nogil
    uint32_t crc_fold(uint32_t crc, const char* p, size_t n) nogil

cdef uint32_t crc_table[16][256]
cdef bint crc_folds = crc_can_fold()


cdef void make_crc_table() noexcept:
    cdef uint32_t crc
    cdef int i, k
    for i in range(256):
        crc = i
        for k in range(8):
            crc = (crc >> 1) ^ (<uint32_t>0xEDB88320 & (0 - (crc & 1)))
        crc_table[0][i] = crc
    for k in range(1, 16):
        for i in range(256):
            crc_table[k][i] = (crc_table[k - 1][i] >> 8) ^ crc_table[0][crc_table[k - 1][i] & 255]


cdef inline uint32_t crc_word(uint32_t word, int table) noexcept nogil:
    return (
        crc_table[table + 3][word & 255]
        ^ crc_table[table + 2][(word >> 8) & 255]
        ^ crc_table[table + 1][(word >> 16) & 255]
        ^ crc_table[table][word >> 24]
    )


cdef uint32_t crc_extend(uint32_t crc, const char* p, size_t n) noexcept nogil:
    """The CRC of what `crc` is of, followed by `n` bytes; 0 is that of nothing."""
    cdef uint32_t word[4]
    cdef size_t folded
    crc = ~crc
    if n >= 64 and crc_folds:
        folded = n & ~<size_t>15
        crc = crc_fold(crc, p, folded)
        p += folded
        n -= folded
    while n >= 16:
        memcpy(word, p, 16)
        crc = crc_word(word[0] ^ crc, 12) ^ crc_word(word[1], 8) ^ crc_word(word[2], 4) ^ crc_word(word[3], 0)
        p += 16
        n -= 16
    if n >= 8:
        memcpy(word, p, 8)
        crc = crc_word(word[0] ^ crc, 4) ^ crc_word(word[1], 0)
        p += 8
        n -= 8
    if n >= 4:
        memcpy(word, p, 4)
        crc = crc_word(word[0] ^ crc, 0)
        p += 4
        n -= 4
    while n:
        crc = crc_table[0][(crc ^ <uint8_t>p[0]) & 255] ^ (crc >> 8)
        p += 1
        n -= 1
    return ~crc


make_crc_table()


def _crc32(bytes data not None, bint fold):
    """The CRC of `data`, with or without the processor's help; for the tests of both."""
    global crc_folds
    cdef bint before = crc_folds
    crc_folds = fold and crc_can_fold()
    try:
        return crc_extend(0, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    finally:
        crc_folds = before
