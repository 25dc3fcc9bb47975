"""A small bounded cache for tables that depend on a grid's size alone, such as resized position encodings."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch
from torch import Tensor

Table = TypeVar("Table", Tensor, tuple[Tensor, Tensor])


class TableCache:
    """Keeps the most recently used tables. Safe to share between threads.

    While gradients are recorded nothing is kept, because a cached table would hold on to the graph of an earlier step.
    """

    def __init__(self, max_entries: int = 8):
        self._tables: OrderedDict[Hashable, Any] = OrderedDict()
        self._max_entries = max_entries
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Table]) -> Table:
        """The table kept under `key`; `make` computes it the first time. A key always stands for the same kind of
        table.
        """
        if torch.is_grad_enabled():
            return make()
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
                return self._tables[key]
        table = make()
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > self._max_entries:
                self._tables.popitem(last=False)
        return table

    def __deepcopy__(self, memo: dict[int, Any]) -> "TableCache":
        return TableCache(self._max_entries)
