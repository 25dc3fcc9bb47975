"""By hand: `python -m tests.fuzz --minutes 10`. Prints counts by kind of input and each finding with its seed;
`--only checkpoints --seed 17 --most 1` runs one case again. Exits with 1 where something was found.
"""

import argparse
import sys

from tests.fuzz.kinds import KINDS
from tests.fuzz.runner import fuzz


def main() -> None:
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="KIND", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--most", type=int, help="cases of each kind")
    options = parser.parse_args()
    tally = fuzz(tuple(options.only), 60 * options.minutes, options.seed, options.most)
    print("\n".join(tally.lines()))
    sys.exit(1 if tally.findings else 0)


if __name__ == "__main__":
    main()
