"""Runs cases in a child process that may die, and says what became of each: read, refused with a sentence, or a
finding.
"""

import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

LIMIT_S = 30.0
"""For one case. Machines that run tests are busy."""
START_S = 180.0


@dataclass
class Finding:
    """A case that was neither read nor refused."""

    kind: str
    seed: int
    what: str


@dataclass
class Tally:
    """outcomes: (kind, "read", "refused" or "finding") -> number of cases."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        kinds = sorted({kind for kind, _ in self.outcomes})
        yield f"{'kind':12} {'cases':>7} {'read':>7} {'refused':>8} {'findings':>9}"
        for kind in kinds:
            read, refused, found = (self.outcomes[kind, outcome] for outcome in ("read", "refused", "finding"))
            yield f"{kind:12} {read + refused + found:7} {read:7} {refused:8} {found:9}"
        for finding in self.findings[:40]:
            yield f"--- {finding.kind} {finding.seed}: {finding.what}"


class Child:
    def __init__(self, kinds: tuple[str, ...]):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", *kinds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        if self._line(START_S) is None:
            raise RuntimeError("the fuzzing process does not start")

    def ask(self, kind: str, seed: int) -> dict | str:
        """The answer, or what ended the process."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{kind} {seed}\n".encode())
        self.process.stdin.flush()
        answer = self._line(LIMIT_S)
        if answer is not None:
            return json.loads(answer)
        ended = self.process.poll()
        if ended is None and self.process.stdout is not None:
            try:
                ended = self.process.wait(1)
            except subprocess.TimeoutExpired:
                ended = None
        self.close()
        return f"took more than {LIMIT_S:.0f} s" if ended is None else f"ended the process with {ended}"

    def _line(self, patience: float) -> bytes | None:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        line = self.process.stdout.readline() if ready else b""
        return line if line.endswith(b"\n") else None

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def fuzz(kinds: tuple[str, ...], seconds: float, first_seed: int = 0, most: int | None = None) -> Tally:
    """Cases of all kinds in turn until the time is over, or `most` of each kind are done."""
    tally, child = Tally(), Child(kinds)
    end = time.monotonic() + seconds
    seed = first_seed
    try:
        while time.monotonic() < end and (most is None or seed - first_seed < most):
            for kind in kinds:
                answer = child.ask(kind, seed)
                finding = problem(answer)
                if finding:
                    tally.findings.append(Finding(kind, seed, finding))
                    tally.outcomes[kind, "finding"] += 1
                else:
                    assert isinstance(answer, dict)
                    tally.outcomes[kind, answer["outcome"]] += 1
                if isinstance(answer, str):
                    child = Child(kinds)
            seed += 1
    finally:
        child.close()
    return tally


def problem(answer: dict | str) -> str | None:
    """What is wrong with the outcome of a case; None for one that was read, or refused with a sentence."""
    if isinstance(answer, str):
        return answer
    if answer["outcome"] not in ("read", "refused"):
        return f"{answer['outcome']} ({answer['file']}): {answer['text']}"
    if answer["outcome"] == "refused" and not (answer["text"].strip() and len(answer["text"]) < 2000):
        return f"refused without a sentence ({answer['file']}): {answer['text'][:200]!r}"
    return None
