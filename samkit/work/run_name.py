"""What a run is called where nobody gave it a name: by what tells it from others."""

from samkit.experiments.registry import find_entry
from samkit.prompts import Prompts
from samkit.tracking.store.differences import differences_text
from samkit.words import listed
from samkit.work.spec import Ref, RunSpec

MAX_NAME_CHARACTERS = 200


def usual_name(spec: RunSpec) -> str:
    """Experiment, pictures or film, model, prompts where they are more than a point, and what differs from the
    defaults, such as "Mask stability, coffee, nano-sam2, upper threshold 6".
    """
    sources = [spec.video] if spec.video is not None else [spec.image, spec.image_b]
    parts = [
        find_entry(spec.experiment).title,
        listed([_known_as(ref) for ref in sources if ref is not None]),
        _known_as(spec.model),
        _prompts_text(spec.prompts),
        differences_text(spec.experiment, spec.params),
    ]
    return ", ".join(part for part in parts if part)[:MAX_NAME_CHARACTERS]


def _known_as(ref: Ref) -> str:
    return ref.name or ref.ref


def _prompts_text(prompts: Prompts) -> str:
    if not prompts.boxes and len(prompts.points) <= 1:
        return ""
    counts = {"point": len(prompts.points), "box": len(prompts.boxes)}
    several = {"point": "points", "box": "boxes"}
    return listed([f"{count} {word if count == 1 else several[word]}" for word, count in counts.items() if count])
