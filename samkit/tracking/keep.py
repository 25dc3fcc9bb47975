"""Keep a run: in the store if it answers, else in the spool, so that nothing is lost and nobody waits."""

from dataclasses import dataclass

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
    """Send the run to the store, or spool it. A store that is away costs at most two seconds. Raises `StoreError` only where neither has room."""
    store, spool = store or RunStore(), spool or Spool()
    problem = "does not answer"
    if store.reachable(PROBE_S):
        try:
            run = store.keep(bundle)
            return KeepOutcome(run, f"Kept as run {run.run_id}.")
        except StoreError as error:
            problem = f"refused it ({error})"
    spool.add(bundle)
    waiting = len(spool.waiting())
    return KeepOutcome(None, f"The run store {problem}. The run is safe in the spool ({waiting} waiting) and can be delivered when the store is back.")
