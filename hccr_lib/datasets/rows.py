"""Rows of images that stay where they are until they are asked for."""

from collections.abc import Sequence

import numpy as np


class Rows:
    """Some rows of one or more arrays of images, read when they are asked for.

    Choosing rows of a memory-mapped set, or putting images beside it, would read all of it into
    memory. This only notes which rows are meant.

    Args:
        arrays: arrays, memory maps or other `Rows`, alike in dtype and in all axes but the first;
            their rows are numbered through.
        rows: int (n,), those that are meant, in their order. Default: all.

    Raises:
        ValueError: arrays that are not alike, or rows that they do not have.

    >>> Rows([np.array([10, 11, 12]), np.array([20, 21])], np.array([4, 0, 1]))[1:]
    array([10, 11])
    """

    def __init__(self, arrays: Sequence["np.ndarray | Rows"], rows: np.ndarray | None = None):
        kinds = {(np.dtype(array.dtype), tuple(array.shape[1:])) for array in arrays}
        if len(kinds) != 1:
            raise ValueError(f"Rows are of arrays alike, received {sorted(map(str, kinds))}")
        self.arrays = list(arrays)
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.rows = np.arange(self.starts[-1]) if rows is None else np.asarray(rows)
        if self.rows.size and not 0 <= self.rows.min() <= self.rows.max() < self.starts[-1]:
            raise ValueError(f"There are {self.starts[-1]} rows, received {self.rows}")
        self.dtype = np.dtype(arrays[0].dtype)
        self.shape = (len(self.rows), *arrays[0].shape[1:])
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        """A new array of these rows: `chosen` is a slice, or an array of indices or bools."""
        rows = self.rows[chosen]
        if len(self.arrays) == 1:
            return self.arrays[0][rows]
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        for k, array in enumerate(self.arrays):
            found[which == k] = array[rows[which == k] - self.starts[k]]
        return found
