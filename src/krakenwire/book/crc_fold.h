/* CRC-32/ISO-HDLC by carry-less multiplication, sixteen bytes at a time, where the processor can (every x86-64 since
 * 2010; asked for when the module is loaded, so that the build needs no -march). The method and its constants are those of
 * Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009, bits reflected. */

#ifndef KRAKENWIRE_CRC_FOLD_H
#define KRAKENWIRE_CRC_FOLD_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

static int crc_can_fold(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

/* x * 2^128 of each half, plus the next sixteen bytes. */
__attribute__((target("pclmul,sse4.1"))) static inline __m128i crc_fold_step(__m128i x, __m128i by, __m128i next) {
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)), next);
}

/* The register `crc` (inverted, as between steps) after `size` bytes: at least 64, a multiple of 16. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t crc_fold(uint32_t crc, const char *bytes, size_t size) {
    const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_8 = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_words = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i *next = (const __m128i *)bytes;
    __m128i a = _mm_xor_si128(_mm_loadu_si128(next), _mm_cvtsi32_si128((int)crc));
    __m128i b = _mm_loadu_si128(next + 1), c = _mm_loadu_si128(next + 2), d = _mm_loadu_si128(next + 3);
    for (next += 4, size -= 64; size >= 64; next += 4, size -= 64) {
        a = crc_fold_step(a, by_64, _mm_loadu_si128(next));
        b = crc_fold_step(b, by_64, _mm_loadu_si128(next + 1));
        c = crc_fold_step(c, by_64, _mm_loadu_si128(next + 2));
        d = crc_fold_step(d, by_64, _mm_loadu_si128(next + 3));
    }
    a = crc_fold_step(a, by_16, b);
    a = crc_fold_step(a, by_16, c);
    a = crc_fold_step(a, by_16, d);
    for (; size >= 16; next++, size -= 16) a = crc_fold_step(a, by_16, _mm_loadu_si128(next));
    /* 128 bits to 64, and those to the remainder (Barrett). */
    b = _mm_clmulepi64_si128(a, by_16, 0x10);
    a = _mm_xor_si128(_mm_srli_si128(a, 8), b);
    b = _mm_srli_si128(a, 4);
    a = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(a, low_words), by_8, 0x00), b);
    b = _mm_clmulepi64_si128(_mm_and_si128(a, low_words), polynomial, 0x10);
    b = _mm_clmulepi64_si128(_mm_and_si128(b, low_words), polynomial, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(a, b), 1);
}

#else

static int crc_can_fold(void) { return 0; }

static uint32_t crc_fold(uint32_t crc, const char *bytes, size_t size) {
    (void)bytes;
    (void)size;
    return crc;
}

#endif
#endif
