"""What the machine has, and what it refuses: memory at hand, and the sentence for a person where there was not enough,
or where a file was refused.
"""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samkit.errors import MachineError, SamkitError

_TORCH_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")
"""How torch words it, which has no error of its own for it on a CPU."""
_REFUSED_FILES = {
    getattr(errno, name)
    for name in ["ENAMETOOLONG", "EACCES", "EPERM", "ELOOP", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE", "EIO"]
    if hasattr(errno, name)
}
"""What the system says of a file for reasons that a person can act on."""


def memory_at_hand() -> int | None:
    """Bytes that this process can still take without anything being ended for it: what the system has free, no more
    than its container and its own limits leave. None where nothing tells.
    """
    bounds = (_free_memory(), _container_memory(), _own_limit())
    return min((count for count in bounds if count is not None), default=None)


def refused_by_machine(error: BaseException) -> SamkitError | None:
    """The error for a person, where `error` says that memory, the disk or the depth of nesting ran out, or that a
    file may not be used; None for any other.
    """
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in _TORCH_WORDS)
    ):
        return MachineError(
            "The machine ran out of memory. Choose a smaller encoding side or a smaller model, or clear the encoding "
            "cache in the sidebar."
        )
    if isinstance(error, RecursionError):
        return MachineError("This is nested too deeply to be read: give values that lie in fewer brackets.")
    if isinstance(error, OSError) and error.errno in _REFUSED_FILES:
        name = str(error.filename)[:200] if error.filename else "A file"
        return MachineError(
            f"{name} can't be used ({error.strerror}): check the path, its permissions and the room on its disk."
        )
    return None


@contextmanager
def machine_errors() -> Iterator[None]:
    """Raise what the machine refuses as a `MachineError`, and anything else as it is."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        refused = refused_by_machine(error)
        if refused is None:
            raise
        raise refused from error


def _free_memory() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    with suppress(OSError, ValueError, AttributeError):
        # Systems that don't say what is free: half of what there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _container_memory() -> int | None:
    """What the control groups leave, of the process's own and all above it; cached file pages don't count as taken."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    left: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        mount, limit, used, cached = (
            ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")
            if controllers == ""
            else ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        place = Path(path.lstrip("/"))
        for part in (place, *place.parents):
            group = Path(mount) / part
            with suppress(OSError, ValueError):
                most = int((group / limit).read_text())  # "max" where there is no limit
                stat = dict(row.split() for row in (group / "memory.stat").read_text().splitlines())
                left.append(max(0, most - int((group / used).read_text()) + int(stat.get(cached, 0))))
    return min(left, default=None)


def _own_limit() -> int | None:
    """What `ulimit -v` leaves."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    with suppress(OSError, ValueError, IndexError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        return max(0, limit - taken)
    return limit


def stand_back(nice: int) -> None:
    """Let this thread stand in line for the processor behind all others. On Linux a thread has a priority of its own;
    elsewhere nothing happens.
    """
    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def stands_back() -> bool:
    """Whether this thread stands in line behind the process's first one; False where no thread can."""
    with suppress(AttributeError, OSError):
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        return own > os.getpriority(os.PRIO_PROCESS, os.getpid())
    return False
