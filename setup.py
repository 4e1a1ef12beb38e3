"""Builds what is compiled, the book and the blocks of a journal; everything else is in pyproject.toml.

Switches, by environment:
    KRAKENWIRE_BUILD_DEBUG=1                          unoptimised, with symbols and bounds checks
    KRAKENWIRE_BUILD_SANITIZE=address,undefined       with the compiler's sanitizers
    KRAKENWIRE_BUILD_COVERAGE=1                       with Cython's line tracing
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup  # type: ignore[import-untyped]  # it ships no types

BOOK = "src/krakenwire/book"
FORMAT = "src/krakenwire/journal/format"

debug = os.environ.get("KRAKENWIRE_BUILD_DEBUG") == "1"
sanitize = os.environ.get("KRAKENWIRE_BUILD_SANITIZE", "")
coverage = os.environ.get("KRAKENWIRE_BUILD_COVERAGE") == "1"

compile_args = ["-O0", "-g"] if debug else ["-O3"]
link_args: list[str] = []
macros: list[tuple[str, str | None]] = []
if sanitize:
    compile_args += [f"-fsanitize={sanitize}", "-fno-omit-frame-pointer", "-fno-sanitize-recover=undefined", "-g"]
    link_args += [f"-fsanitize={sanitize}"]
if coverage:
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]

setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call]  # neither does Cython
        [
            Extension(
                "krakenwire.book.kernel",
                [f"{BOOK}/kernel.pyx"],
                depends=glob(f"{BOOK}/*.pxi") + glob(f"{BOOK}/*.h"),
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                define_macros=macros,
            ),
            Extension(
                "krakenwire.journal.format.blocks",
                [f"{FORMAT}/blocks.pyx"],
                include_dirs=[BOOK],  # the checksum is the book's
                depends=[*glob(f"{FORMAT}/*.pxi"), f"{BOOK}/crc.pxi", f"{BOOK}/crc_fold.h"],
                extra_compile_args=compile_args,
                extra_link_args=link_args,
                define_macros=macros,
            ),
        ],
        compiler_directives={"boundscheck": debug, "linetrace": coverage},
        force=debug or bool(sanitize) or coverage,
    )
)
