"""Where `python -m samkit sweep` has the cells computed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from samkit.cli.output import say
from samkit.errors import BadInput

if TYPE_CHECKING:
    from samkit.work.sweep.local import Engine
    from samkit.work.sweep.results import SweepFolder
    from samkit.work.sweep.spec import SweepSpec


class Engines(Protocol):
    """Makes the engine of a sweep."""

    def engine(self, sweep: "SweepFolder") -> "Engine": ...

    def workers(self, spec: "SweepSpec") -> int:
        """How many the sweep will have."""
        ...

    def with_threads(self, spec: "SweepSpec") -> "SweepSpec":
        """The spec, with the threads that each worker will have where that is not what `share_threads` says."""
        ...


class _Local:
    def __init__(self, workers: int | None):
        self._workers = workers

    def engine(self, sweep: "SweepFolder") -> "Engine":
        from samkit.work.sweep.local import LocalEngine

        return LocalEngine(sweep.path, sweep.spec.keep, self.workers(sweep.spec), sweep.spec.threads)

    def workers(self, spec: "SweepSpec") -> int:
        from samkit.work.sweep.local import cores

        return self._workers or max(1, cores() // (spec.threads or 2))

    def with_threads(self, spec: "SweepSpec") -> "SweepSpec":
        return spec


class _Ray:
    def __init__(self, address: str | None, workers: int | None):
        self._address, self._workers = address, workers

    def engine(self, sweep: "SweepFolder") -> "Engine":
        from samkit.work.sweep.ray_engine import RayEngine

        spec = sweep.spec
        return RayEngine(sweep.path, spec.keep, self._address, self._workers, spec.threads, spec.device, say)

    def workers(self, spec: "SweepSpec") -> int:
        from samkit.work.sweep.ray_cluster import room

        return room(self._workers, spec.threads, spec.device).workers

    def with_threads(self, spec: "SweepSpec") -> "SweepSpec":
        from samkit.work.sweep.ray_cluster import room

        return spec.model_copy(update={"threads": room(self._workers, spec.threads, spec.device).threads})


@contextmanager
def engines(name: str, address: str | None, workers: int | None) -> Iterator[Engines]:
    """For a `with` block, in which the cluster is joined. Raises BadInput with a sentence."""
    if name == "local":
        if address is not None:
            raise BadInput("--address is of a Ray cluster: add --engine ray.")
        yield _Local(workers)
        return
    from samkit.work.sweep.ray_cluster import connected

    with connected(address):
        yield _Ray(address, workers)
