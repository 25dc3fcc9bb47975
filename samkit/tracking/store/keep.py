"""Keep a run: in the store if it answers, else in the spool, so that nothing is lost and nobody waits."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from filelock import Timeout

from samkit.errors import StoreError
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import KeptRun, RunStore

PROBE_S = 0.8


@dataclass(frozen=True)
class KeepOutcome:
    """run: None where the run went to the spool; sentence: what happened, for a person.

    later: what sending it came to, once that has ended, where the caller did not wait for it
    """

    run: KeptRun | None
    sentence: str
    later: "list[KeepOutcome | BaseException] | None" = field(default=None, compare=False)

    @property
    def under_way(self) -> bool:
        return self.later is not None and not self.later

    @property
    def latest(self) -> "KeepOutcome":
        """What is known by now."""
        if not self.later:
            return self
        ended = self.later[0]
        if isinstance(ended, KeepOutcome):
            return ended
        return KeepOutcome(None, f"The run could not be sent ({ended}). It is safe in the spool.")

    @property
    def kept(self) -> bool:
        return self.run is not None


def keep_run(
    bundle: Bundle, store: RunStore | None = None, spool: Spool | None = None, patience_s: float | None = None
) -> KeepOutcome:
    """Send the run to the store; it lies in the spool meanwhile, and stays there where the store does not take it.

    A store that is away costs at most two seconds. patience_s: how long to wait for one that is slow, after which the
    run is sent on while the caller goes on; None: until it is done. Raises `StoreError` only where neither store nor
    spool has room.
    """
    store, spool = store or RunStore(), spool or Spool()
    try:
        spooled = replace(bundle, path=spool.add(bundle))
    except StoreError:
        return _send_unspooled(bundle, store)
    if patience_s is None:
        return _send(spooled, store, spool)
    ended: list[KeepOutcome | BaseException] = []

    def send() -> None:
        try:
            ended.append(_send(spooled, store, spool))
        except BaseException as error:
            ended.append(error)

    sender = threading.Thread(target=send, name=f"send-{bundle.run_uuid[:8]}", daemon=True)
    sender.start()
    sender.join(patience_s)
    if not ended:
        sentence = "The run is safe here and on its way to the run store, which takes a while the first time."
        return KeepOutcome(None, sentence, ended)
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return ended[0]


def keep_imported(
    bundles: Sequence[Bundle],
    store: RunStore | None = None,
    spool: Spool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[KeepOutcome]:
    """Send runs that were imported, in their order. All are in the spool before the first is sent, so that an end in
    the middle leaves none half or lost.

    progress: called with (sent, total). Raises `StoreError`, and keeps none, where the spool has no room for all.
    """
    store, spool = store or RunStore(), spool or Spool()
    spooled = [replace(bundle, path=path) for bundle, path in zip(bundles, spool.add_all(bundles), strict=True)]
    outcomes = []
    for index, bundle in enumerate(spooled):
        if progress:
            progress(index, len(spooled))
        outcomes.append(_send(bundle, store, spool))
    return outcomes


def _send(spooled: Bundle, store: RunStore, spool: Spool) -> KeepOutcome:
    problem = "does not answer"
    try:
        with spool.sending(spooled.run_uuid):
            if store.reachable(PROBE_S):
                run = store.keep(spooled)
                spool.remove(spooled.run_uuid)
                return KeepOutcome(run, f"Kept as run {run.run_id}.")
    except StoreError as error:
        problem = f"refused it ({error})"
    except Timeout:
        problem = "is still busy with another run"
    except OSError as error:
        problem = f"could not be asked ({error.strerror or error})"
    spool.explain(spooled.run_uuid, f"The run store {problem}.")
    waiting = len(spool.waiting())
    return KeepOutcome(
        None,
        f"The run store {problem}. The run is safe in the spool ({waiting} waiting) and can be delivered when the "
        "store is back.",
    )


def _send_unspooled(bundle: Bundle, store: RunStore) -> KeepOutcome:
    """The store may lie where there is room."""
    if not store.reachable(PROBE_S):
        raise StoreError(
            "The run could not be kept: the run store does not answer, and the spool has no room. Free some space "
            "and keep it again."
        )
    run = store.keep(bundle, spooled=False)
    return KeepOutcome(run, f"Kept as run {run.run_id}.")
