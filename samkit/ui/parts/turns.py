"""How often the server's threads take turns at Python's lock."""

import sys

TURN_S = 0.0005
"""By default a thread may keep the lock for ten times as long. A decode gives it up and takes it back in each of some
hundred steps, and would wait so long at each of them while other visitors' pages are being made: with three of them
6 s in place of 0.4 s, on two cores.
"""


def keep_turns_short() -> None:
    sys.setswitchinterval(TURN_S)
