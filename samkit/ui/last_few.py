"""A dict that holds on to what was used last."""

from collections import OrderedDict

KEPT = 12


class LastFew(OrderedDict):
    """The last `KEPT` that were put in or put in again."""

    def __setitem__(self, key, value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > KEPT:
            self.popitem(last=False)
