# cython: language_level=3, wraparound=False, cdivision=True, initializedcheck=False, auto_pickle=False
"""Blocks of lines, compiled: what pure.py has, which is the specification and has the commentary.

Lines are put together in memory of their own: a frame that is written makes no Python object. The GIL is held, but for
the checksum.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy

import msgspec

from krakenwire.errors import FrameError
from krakenwire.events import Stamp
from krakenwire.journal.format import block as said
from krakenwire.journal.format.block import Block, Entry, Run, decode_block_head
from krakenwire.journal.format.lines import decode_frame, encode_frame

__all__ = ["Block", "BlockWriter", "Entry", "Run", "close_block", "read_block"]

cdef extern from *:
    """
    typedef __int128 kw_i128;
    """
    ctypedef long long i128 "kw_i128"

cdef enum:
    KEPT = 1 << 20             # bytes of room that a buffer keeps between two blocks
    END = 13                   # of a `crc` line
    PLACES = 8                 # that a writer finds without a dictionary

cdef i128 LEAST = -(<i128>1 << 63)
cdef i128 MOST = (<i128>1 << 63) - 1

include "buffer.pxi"
include "../../book/crc.pxi"


cdef bytes place_code(Py_ssize_t number):
    """What stands for the place of that number: a, b, … z, aa, ab, …."""
    code = []
    number += 1
    while number:
        number -= 1
        code.append(97 + number % 26)
        number = number / 26
    return bytes(reversed(code))


cdef struct Known:             # a place of the block at hand; the name is kept alive by the writer's dictionary
    PyObject* connection
    int64_t epoch
    char code[7]
    uint8_t size


@cython.final
cdef class BlockWriter:
    """Puts lines into blocks. Nothing here waits, or fails for what comes in."""

    cdef readonly long long n
    cdef long long first_n
    cdef Buffer lines
    cdef Buffer moments
    cdef object last           # the stamp of the last moment; None after a block was taken
    cdef bint has_last
    cdef int64_t first_ns      # of the block at hand, and of the last moment before it
    cdef int64_t first_mono
    cdef int64_t last_ns
    cdef int64_t last_mono
    cdef long long repeats     # of the last moment
    cdef dict places           # (connection, epoch) to code
    cdef Known known[PLACES]
    cdef int known_count
    cdef object connection     # of the last moment
    cdef int64_t epoch

    def __cinit__(self, long long n=0):
        self.n = n
        self.first_n = n
        self.places = {}

    def __dealloc__(self):
        free(self.lines.data)
        free(self.moments.data)

    @property
    def size(self):
        return self.lines.size

    def frame(self, bytes frame not None, stamp not None):
        """A frame was received."""
        cdef const char* data = PyBytes_AS_STRING(frame)
        cdef size_t size = PyBytes_GET_SIZE(frame)
        if memchr(data, c"\n", size) != NULL:
            self.line(encode_frame(frame), stamp)
            return
        if not make_room(&self.lines, size + 2):
            raise MemoryError
        self.mark(stamp)
        if size == 0 or (data[0] != c"{" and data[0] != c"["):
            put_char(&self.lines, c":")
        put(&self.lines, data, size)
        put_char(&self.lines, c"\n")
        self.n += 1

    def line(self, bytes line not None, stamp, *, bint is_input=True):
        """Any line, without its line feed; `stamp` is that of a timed input."""
        cdef size_t size = PyBytes_GET_SIZE(line)
        if not make_room(&self.lines, size + 1):
            raise MemoryError
        if stamp is not None:
            self.mark(stamp)
        put(&self.lines, PyBytes_AS_STRING(line), size)
        put_char(&self.lines, c"\n")
        self.n += is_input

    def take(self):
        """The block so far, up to its `crc` line (see `close_block`), and begin another; empty if there is nothing."""
        cdef bytes head, text
        cdef char* to
        cdef size_t size
        if self.lines.size == 0:
            return b""
        if not make_room(&self.moments, 32):
            raise MemoryError
        if self.last is None:
            self.first_ns = self.last_ns
            self.first_mono = self.last_mono
        head = msgspec.json.encode([self.first_n, self.first_ns, self.first_mono, list(self.places)])
        size = PyBytes_GET_SIZE(head)
        if self.last is not None:
            self.end_moment()
        text = PyBytes_FromStringAndSize(NULL, 6 + size + 4 + self.moments.size + 1 + self.lines.size)
        to = PyBytes_AS_STRING(text)
        memcpy(to, b"block ", 6)
        memcpy(to + 6, PyBytes_AS_STRING(head), size)
        memcpy(to + 6 + size, b"\nat ", 4)
        to += 6 + size + 4
        if self.moments.size:
            memcpy(to, self.moments.data, self.moments.size)
        to[self.moments.size] = c"\n"
        memcpy(to + self.moments.size + 1, self.lines.data, self.lines.size)
        empty(&self.lines)
        empty(&self.moments)
        self.first_n = self.n
        self.last = self.connection = None
        self.known_count = 0
        self.places = {}
        return text

    cdef inline int mark(self, object stamp) except -1:
        """One more input at `stamp`."""
        if stamp is self.last:
            self.repeats += 1
            return 0
        return self.moment(stamp)

    cdef int moment(self, object stamp) except -1:
        cdef object connection = stamp.connection, code
        cdef int64_t epoch, ns, mono
        cdef i128 passed, drift
        cdef bint is_first = self.last is None
        try:
            epoch, ns, mono = stamp.epoch, stamp.received_ns, stamp.received_mono_ns
        except OverflowError:
            raise OverflowError(said.TOO_LARGE) from None
        if not make_room(&self.moments, 96):  # the end of the last, and this: a code, two numbers of 21
            raise MemoryError
        if is_first:
            self.first_ns = self.last_ns = ns
            self.first_mono = self.last_mono = mono
        else:
            self.end_moment()
            put_char(&self.moments, c" ")
        if connection is not self.connection or epoch != self.epoch:
            self.place(connection, epoch)
        passed = <i128>mono - self.last_mono
        drift = <i128>ns - self.last_ns - passed
        put_number(&self.moments, passed)
        if drift > 0:
            put_char(&self.moments, c"+")
        if drift:
            put_number(&self.moments, drift)
        self.last = stamp
        self.last_ns = ns
        self.last_mono = mono
        self.repeats = 1
        return 0

    cdef int place(self, object connection, int64_t epoch) except -1:
        """Write the code of a place, unless it is the last's after all."""
        cdef int i
        cdef Known* known
        cdef bytes code
        if self.connection is not None and connection == self.connection and epoch == self.epoch:
            self.connection = connection
            return 0
        for i in range(self.known_count):
            known = &self.known[i]
            if known.connection == <PyObject*>connection and known.epoch == epoch:
                put(&self.moments, known.code, known.size)
                break
        else:
            where = (connection, epoch)
            code = self.places.get(where)
            if code is None:
                code = place_code(len(self.places))
                self.places[where] = code
                if self.known_count < PLACES:
                    known = &self.known[self.known_count]
                    known.connection = <PyObject*>connection
                    known.epoch = epoch
                    known.size = <uint8_t>PyBytes_GET_SIZE(code)
                    memcpy(known.code, PyBytes_AS_STRING(code), known.size)
                    self.known_count += 1
            put(&self.moments, PyBytes_AS_STRING(code), PyBytes_GET_SIZE(code))
        self.connection = connection
        self.epoch = epoch
        return 0

    cdef inline void end_moment(self) noexcept:
        """Say how often the last moment was."""
        if self.repeats > 1:
            put_char(&self.moments, c"*")
            put_number(&self.moments, self.repeats)


def close_block(bytes text not None):
    """A block, complete."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, size + END)
    cdef char* to = PyBytes_AS_STRING(whole)
    cdef const char* data = PyBytes_AS_STRING(text)
    with nogil:
        memcpy(to, data, size)
        write_end(to + size, crc_extend(0, to, size))
    return whole


cdef void write_end(char* to, uint32_t crc) noexcept nogil:
    """The `crc` line."""
    cdef int i
    memcpy(to, b"crc ", 4)
    for i in range(8):
        to[4 + i] = (<const char*>b"0123456789abcdef")[(crc >> (28 - 4 * i)) & 15]
    to[12] = c"\n"


include "moments.pxi"


def read_block(bytes text not None):
    """Read a complete block, from `block` to the end of its `crc` line.

    Raises:
        FrameError: it is damaged, or not a block of a journal; says where and how.
    """
    cdef const char* data = PyBytes_AS_STRING(text)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef const char* end = data + size - END
    cdef const char* p
    cdef const char* line_end
    cdef const char* at
    cdef char proof[END]
    cdef uint32_t crc
    cdef list runs = [], frames = None, stamps = None
    cdef Moments moments
    cdef object head, stamp
    cdef str run_connection = None
    cdef bytes content
    cdef long long n
    cdef char first
    if size <= END or data[size - END - 1] != c"\n" or memcmp(end, b"crc ", 4) != 0 or end[END - 1] != c"\n":
        raise FrameError(said.NO_END, size)
    with nogil:
        crc = crc_extend(0, data, size - END)
    write_end(proof, crc)
    if memcmp(end, proof, END) != 0:
        raise FrameError(said.BAD_CHECKSUM, size - END)
    if size < 6 or memcmp(data, b"block ", 6) != 0:
        raise FrameError(said.NO_BLOCK, 0)
    at = <const char*>memchr(data, c"\n", size) + 1
    head = decode_block_head(text[6 : at - 1 - data])
    if memcmp(at, b"at ", 3) != 0:
        raise FrameError(said.NO_AT, at - data)
    p = <const char*>memchr(at, c"\n", end - at) + 1
    moments = Moments.__new__(Moments, head)
    moments.text = data
    moments.p = at + 3
    moments.end = p - 1
    moments.has_more = moments.p < moments.end
    n = head.n
    while p < end:
        line_end = <const char*>memchr(p, c"\n", end - p)
        first = p[0]
        if first == c"{" or first == c"[" or first == c":" or first == c";":
            if moments.left:
                moments.left -= 1
            elif not moments.advance():
                raise FrameError(said.FEW_MOMENTS, p - data)
            if run_connection is not moments.connection and run_connection != moments.connection:
                run_connection = moments.connection
                frames = []
                stamps = []
                runs.append(Run(run_connection, frames, stamps))
            if first == c";":
                content = decode_base64(p, line_end - p, p - data)
            else:
                content = PyBytes_FromStringAndSize(p + (first == c":"), line_end - p - (first == c":"))
            frames.append(content)
            stamps.append(moments.stamp)
            n += 1
        else:
            run_connection = stamp = None
            content = PyBytes_FromStringAndSize(p, line_end - p)
            if first == c"!":
                if moments.left:
                    moments.left -= 1
                elif not moments.advance():
                    raise FrameError(said.FEW_MOMENTS, p - data)
                stamp = moments.stamp
            if first == c"!" or first == c"=":
                n += 1
                runs.append(Entry("input", content, stamp))
            elif first == c">":
                runs.append(Entry("action", content, None))
            elif c"a" <= (first | 32) <= c"z":
                runs.append(Entry("note", content, None))
            else:
                raise FrameError(said.BAD_LINE, p - data)
        p = line_end + 1
    if moments.left or moments.advance():
        raise FrameError(said.MANY_MOMENTS, at - data)
    return Block(head.n, head.received_ns, head.received_mono_ns, n, runs)


cdef bytes decode_base64(const char* line, Py_ssize_t size, Py_ssize_t at):
    try:
        return decode_frame(PyBytes_FromStringAndSize(line, size))
    except FrameError as error:
        raise FrameError(error.reason, at + error.offset) from None
