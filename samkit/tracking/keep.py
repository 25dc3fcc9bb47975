"""Keep a run: in the store if it answers, else in the spool, so that nothing is lost and nobody waits."""

from dataclasses import dataclass

from filelock import Timeout

from samkit.errors import StoreError
from samkit.tracking.bundle import Bundle
from samkit.tracking.spool import Spool
from samkit.tracking.store import KeptRun, RunStore

PROBE_S = 0.8


@dataclass(frozen=True)
class KeepOutcome:
    """run: None where the run went to the spool; sentence: what happened, for a person."""

    run: KeptRun | None
    sentence: str

    @property
    def kept(self) -> bool:
        return self.run is not None


def keep_run(bundle: Bundle, store: RunStore | None = None, spool: Spool | None = None) -> KeepOutcome:
    """Send the run to the store; it lies in the spool meanwhile, and stays there where the store does not take it.

    A store that is away costs at most two seconds. Raises `StoreError` only where neither has room.
    """
    store, spool = store or RunStore(), spool or Spool()
    try:
        with spool.sending(bundle.run_uuid):
            return _keep(bundle, store, spool)
    except Timeout:
        spool.add(bundle)
        return _waits(bundle, spool, "is still busy with another run")
    except OSError as error:
        raise StoreError(f"{spool.folder} can't be written ({error.strerror or error}), so no run can be kept. Mend that, or set SAMKIT_HOME.") from error


def _keep(bundle: Bundle, store: RunStore, spool: Spool) -> KeepOutcome:
    no_room = None
    try:
        spool.add(bundle)
    except StoreError as error:
        no_room = error
    problem = "does not answer"
    if store.reachable(PROBE_S):
        try:
            run = store.keep(bundle)
        except StoreError as error:
            problem = f"refused it ({error})"
        else:
            spool.remove(bundle.run_uuid)
            return KeepOutcome(run, f"Kept as run {run.run_id}.")
    if no_room:
        raise no_room
    return _waits(bundle, spool, problem)


def _waits(bundle: Bundle, spool: Spool, problem: str) -> KeepOutcome:
    spool.explain(bundle.run_uuid, f"The run store {problem}.")
    waiting = len(spool.waiting())
    return KeepOutcome(None, f"The run store {problem}. The run is safe in the spool ({waiting} waiting) and can be delivered when the store is back.")
