"""Many vectors as one statement parameter: a flat `real[]` in Postgres' binary form, made by numpy.

As text, a hundred vectors of 1,536 numbers are 150,000 Python floats, printed here and parsed there.
"""

import struct
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

_REAL: Final = 700
_REAL_ARRAY: Final = 1021


class Reals:
    """The numbers of a float32 array of any shape, row by row, as a statement parameter of type real[]."""

    def __init__(self, numbers: NDArray[np.float32]) -> None:
        self.numbers = numbers


class _RealsDumper(Dumper):
    format = Format.BINARY
    oid = _REAL_ARRAY

    def dump(self, obj: Reals) -> bytes:
        flat = obj.numbers.ravel()
        # One dimension, no nulls, element type; then the length and the lower bound of the dimension.
        header = struct.pack(">iiiii", 1, 0, _REAL, len(flat), 1)
        # Each element stands behind its own length in bytes.
        elements = np.empty(len(flat), dtype=[("length", ">i4"), ("value", ">f4")])
        elements["length"] = 4
        elements["value"] = flat
        return header + elements.tobytes()


def register_reals(connection: psycopg.Connection[Any]) -> None:
    """Lets statements of `connection` take `Reals`."""
    connection.adapters.register_dumper(Reals, _RealsDumper)
