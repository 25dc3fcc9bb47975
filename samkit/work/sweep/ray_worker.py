"""What a worker of the Ray engine does, in an actor on any machine of the cluster."""

import os
import platform
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samkit.scratch import scratch_folder
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.compute import CellComputer, WorkerSettings, reason_of
from samkit.work.sweep.results import Outcome
from samkit.work.sweep.travel import Unpacked, taken_out

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Reply:
    """An outcome, and the files that are kept of its cell."""

    outcome: Outcome
    files: dict[str, bytes]


class RayWorker:
    """Computes cells as a local worker does. What it keeps goes back with the outcome.

    settings: as for a local worker; its folder is replaced by one on this machine
    """

    def __init__(self, settings: WorkerSettings):
        self._folder = scratch_folder("ray")
        self._kept = self._folder / "kept"
        self._kept.mkdir()
        # What samkit notes down at home would stay on this machine.
        os.environ["SAMKIT_HOME"] = str(self._folder)
        self._inputs = Unpacked(self._folder / "inputs")
        self._computer = CellComputer(replace(settings, folder=str(self._kept)), self._inputs.place)

    def hello(self) -> dict[str, str]:
        """What has to be the same on all machines."""
        return versions()

    def outcome(self, cell: Cell, inputs: dict[str, Any]) -> Reply:
        """inputs: the files that the cell names, each as a reference to a parcel in the object store, or the sentence
        that says why it is not there
        """
        try:
            self._take(inputs)
        except OSError as error:
            return Reply(Outcome(cell.id, "failed", reason_of(error)), {})
        outcome = self._computer.outcome(cell)
        outcome = replace(outcome, reason=self._inputs.as_named(outcome.reason))
        try:
            files = taken_out(self._kept)
            for name in files:
                if Path(name).name == RUN_FILE:
                    # It says where a film lies that is too large to be kept with the run.
                    files[name] = self._inputs.as_named(files[name].decode()).encode()
            return Reply(outcome, files)
        except OSError as error:
            return Reply(replace(outcome, status="failed", reason=reason_of(error)), {})

    def close(self) -> None:
        """Remove what it wrote on this machine."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, inputs: dict[str, Any]) -> None:
        import ray

        self._inputs.keep_only(set(inputs))
        for text, sent in inputs.items():
            if isinstance(sent, str):
                self._inputs.add_missing(text, sent)
            elif text not in self._inputs:
                self._inputs.add(text, ray.get(sent))


def versions() -> dict[str, str]:
    """Of what the figures of a cell hang on."""
    import numpy
    import torch

    return {"Python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}


def samkit_folder() -> Path:
    """The package, which goes to every machine of the cluster."""
    import samkit

    return Path(samkit.__file__).parent
