"""A dict that holds on to what was used last."""

from collections import OrderedDict


class LastFew(OrderedDict):
    """The last `kept` that were put in or put in again."""

    def __init__(self, kept: int = 12):
        super().__init__()
        self._kept = kept

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > self._kept:
            self.popitem(last=False)
