"""Sweeps whose outcomes nobody computed: for what shows and compares them."""

from samkit.work.sweep.cases import find_cases
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.results import Outcome, SweepFolder, new_sweep
from samkit.work.sweep.spec import spec_from_text

TEXT = """
name: {name}
experiment: mask-stability
models: [{models}]
pictures: ["coin#4", "coin#30", "cat#4"]
prompts: [{{truth: box}}, {{truth: inside}}]
params: {{side: [256, 512]}}
"""


def outcome(cell: Cell, better: float = 0.0) -> Outcome:
    """Its IoU grows with the side; that of the film of the cat is 0.1 higher."""
    iou = 0.5 + cell.params["side"] / 2560 + 0.1 * ("cat" in cell.case.name) + better
    metrics = {"true_iou": iou, "predicted_iou": iou - 0.05, "stability_score": 0.9}
    facts = {"size": "large" if "cat" in cell.case.name else "medium", "true_area_px": 5000}
    box = {"boxes": [[0.1, 0.1, 0.5, 0.5]]}
    return Outcome(
        cell.id, "done", metrics=metrics, facts=facts, timings={"encode_ms": 300.0}, prompts=box, seconds=0.4
    )


def made_up_sweep(
    name: str, models: str = "nano-sam2", better: float = 0.0, computed: int | None = None, failed: int = 0
) -> SweepFolder:
    """computed: how many cells; None: all. failed: so many of them; better: added to each IoU."""
    spec = spec_from_text(TEXT.format(name=name, models=models))
    sweep = new_sweep(spec, find_cases(spec.pictures, 0))
    with sweep.running() as file:
        for number, cell in enumerate(sweep.cells[:computed]):
            bad = Outcome(cell.id, "failed", "The picture is empty.")
            file.add(bad if number < failed else outcome(cell, better))
    return sweep
