# CRC-32/ISO-HDLC, zlib's (PROTOCOL 6.1), sixteen bytes a step: a checksum's text has some 250 bytes, for which calling
# zlib through Python costs more than the sum itself.

cdef uint32_t crc_table[16][256]


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
    crc = ~crc
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
