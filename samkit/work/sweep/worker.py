"""A worker process of the local engine: `python -m samkit.work.sweep.worker`. It reads groups of cells from stdin and
writes an outcome for each cell. It is a program of its own, so that it imports nothing of whoever started it, such as
an app's page.
"""

import os
import queue
import signal
import sys
import threading
from typing import IO, Any

from samkit.work.sweep.messages import receive, send


def main() -> None:
    """Until nobody is at the other end."""
    # Ctrl-C reaches every process of a terminal. Whoever started this one decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    groups: queue.SimpleQueue[Any] = queue.SimpleQueue()
    settings = receive(sys.stdin.buffer)
    threading.Thread(target=_listen, args=(sys.stdin.buffer, groups), daemon=True).start()

    from samkit.models.threads import set_usual_threads
    from samkit.work.sweep.compute import CellComputer

    set_usual_threads(settings.threads)
    computer = CellComputer(settings)
    while True:
        for cell in groups.get():
            send(answers, computer.outcome(cell))
        send(answers, None)


def _listen(questions: IO[bytes], groups: "queue.SimpleQueue[Any]") -> None:
    """Ends the process with its starter, also in the middle of a cell: nobody waits for that any more."""
    try:
        while True:
            groups.put(receive(questions))
    except EOFError:
        os._exit(0)


if __name__ == "__main__":
    main()
