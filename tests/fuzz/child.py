"""The process in which cases are read. Takes `kind seed` a line on stdin, answers with a line of JSON each."""

import json
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path

from samkit.errors import SamkitError
from tests.fuzz.kinds import KINDS

ROOM = 1_500_000_000
"""Bytes of address space for a case, beyond what the process has when all is loaded."""


def main() -> None:
    import torch

    torch.set_num_threads(1)
    kinds = {kind.name: kind for kind in (make() for make in KINDS if make.name in sys.argv[1:])}
    with tempfile.TemporaryDirectory(prefix="samkit-fuzz-") as folder:
        for kind in kinds.values():
            for name, data in kind.files.items():
                path = Path(folder) / name
                path.write_bytes(data)
                kind.read(path)
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM,) * 2)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            kind_name, seed = line.split()
            name, data = kinds[kind_name].case(int(seed))
            path = Path(folder) / f"case{Path(name).suffix}"
            path.write_bytes(data)
            start, text = time.thread_time(), ""
            try:
                kinds[kind_name].read(path)
                outcome = "read"
            except SamkitError as error:
                outcome, text = "refused", str(error)
            except BaseException as error:
                outcome, text = type(error).__name__, "".join(traceback.format_exception(error)[-6:])[-1500:]
            seconds = time.thread_time() - start
            print(json.dumps({"outcome": outcome, "text": text, "seconds": seconds, "file": name}), flush=True)


if __name__ == "__main__":
    main()
