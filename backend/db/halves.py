"""Many vectors as one statement parameter: `halfvec[]` in its binary form, made by numpy.

As text, a hundred vectors of 1,536 numbers are 150,000 Python floats, printed here and parsed there; as one long
`real[]`, each row is cut out of it at the server, which takes three times as long as this.
"""

import struct
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

#: In front of a halfvec's numbers: how many, and two bytes of zeros.
HEADER_BYTES: Final = 4


class Halves:
    """The rows of a float32 matrix, as a statement parameter of type halfvec[]; numbers are rounded to 11 bits."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.rows = rows


def register_halves(connection: psycopg.Connection[Any]) -> None:
    """Lets statements of `connection` take `Halves`, if its database has pgvector."""
    row = connection.execute("SELECT to_regtype('halfvec')::oid, to_regtype('halfvec[]')::oid").fetchone()
    connection.rollback()
    if row is None or row[0] is None:
        return
    element, array = row

    class HalvesDumper(Dumper):
        format = Format.BINARY
        oid = array

        def dump(self, obj: Halves) -> bytes:
            count, dimensions = obj.rows.shape
            # One dimension, no nulls, element type; then the length and the lower bound of the dimension.
            header = struct.pack(">iiIii", 1, 0, element, count, 1)
            elements = np.zeros(
                count,
                dtype=[
                    ("length", ">i4"),
                    ("dimensions", ">i2"),
                    ("unused", ">i2"),
                    ("numbers", ">f2", (dimensions,)),
                ],
            )
            elements["length"] = HEADER_BYTES + 2 * dimensions
            elements["dimensions"] = dimensions
            elements["numbers"] = obj.rows
            return header + elements.tobytes()

    connection.adapters.register_dumper(Halves, HalvesDumper)


def read_halves(values: list[bytes], dimensions: int) -> NDArray[np.float32]:
    """Vectors of `dimensions` numbers, shape (len(values), dimensions), of halfvecs in their binary form."""
    kind = np.dtype([("header", f"V{HEADER_BYTES}"), ("numbers", ">f2", (dimensions,))])
    return np.frombuffer(b"".join(values), dtype=kind)["numbers"].astype(np.float32)
