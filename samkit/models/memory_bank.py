"""What is remembered while an object is followed: prompted frames for ever, the last few frames for a while.

Times. The bank counts frames. It starts at frame 0; a prompt is remembered at the present frame; `add_frame` and
`skip_frame` move on by one; the frame that is tracked next is the one after the present one. A memory's map takes part
with the time of a prompted frame if it is one, else with its distance (1 to 6) from the frame that is tracked; an
object pointer with its distance as a share of `max_pointers - 1`.

Priors. A memory from another picture or film has no time on this clock. Its map takes part like any prompted frame's.
Its pointer keeps the distance 1 for ever, as if the prompt had been on the frame before the one that is tracked:
a prompt that near is what the official models were trained on, and a prior that aged would carry its pointer's time,
and with it the answer, out of the trained range in a long film.

Rules. Which of them are looked at, and by what time, the model's memory rules say (memory_rules.py). Where frames are
chosen by their quality, a rank takes the place of the distance.
"""

import hashlib
import json
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from samkit.errors import BadInput
from samkit.models.bank_file import FORMAT, FORMAT_VERSION, read_bank_file
from samkit.models.memory_rules import SAM2_RULES, MemoryRules

PRIOR_DISTANCE = 1


@dataclass(frozen=True)
class Memory:
    """One frame as a model remembers it.

    features:     bfloat16 [h, w, Cm], or None where only the pointer is left (bfloat16 as in the official video
                  predictor)
    pointer:      float32 [C]
    object_score: above 0 where the object was judged present in the frame
    iou:          what the model predicted of its mask; None where it predicted none
    rules:        by which it was made
    """

    features: Tensor | None = field(repr=False)
    pointer: Tensor = field(repr=False)
    object_score: float
    model_sha256: str
    iou: float | None = None
    rules: MemoryRules = SAM2_RULES

    @property
    def present(self) -> bool:
        return self.object_score > 0

    @property
    def quality(self) -> float:
        """How far the frame can be trusted, 0..1; see memory_rules.py."""
        if not self.present:
            return 0.0
        return (2 / (1 + math.exp(-self.object_score)) - 1) * (1.0 if self.iou is None else self.iou)


@dataclass(frozen=True)
class RememberedPrompt:
    """A prompt's memory: `frame` on the bank's clock, None for a prior."""

    memory: Memory
    frame: int | None

    @property
    def prior(self) -> bool:
        return self.frame is None

    def distance(self, frame: int) -> int:
        """Frames from this prompt to `frame`; below 0 where the prompt lies ahead."""
        return PRIOR_DISTANCE if self.frame is None else frame - self.frame


class MemoryBank:
    """Prompts, which are never forgotten, and the last frames, which roll.

    max_frames:   maps of the last frames to look at (the models were trained with 6)
    max_pointers: pointers to look at, those of prompts counted; one less is the longest time their encoding tells
                  (officially the lesser of 16 and the film's length)
    rules:        by which it is looked at; None for those that its first memory was made by
    """

    def __init__(self, max_frames: int = 6, max_pointers: int = 16, rules: MemoryRules | None = None):
        if max_frames < 0 or max_pointers < 0:
            raise BadInput(f"A memory bank holds 0 or more frames and pointers, not {max_frames} and {max_pointers}.")
        self.max_frames = max_frames
        self.max_pointers = max_pointers
        self._rules = rules
        self.frame = 0
        self._prompts: list[RememberedPrompt] = []
        self._frames: deque[tuple[int, Memory]] = deque()

    @property
    def prompts(self) -> tuple[RememberedPrompt, ...]:
        return tuple(self._prompts)

    @property
    def frames(self) -> tuple[tuple[int, Memory], ...]:
        """(frame, memory) of the remembered frames, oldest first; the older ones have a pointer only."""
        return tuple(self._frames)

    @property
    def rules(self) -> MemoryRules:
        first = self._first
        return self._rules or (first.rules if first else SAM2_RULES)

    def __len__(self) -> int:
        return len(self._prompts) + len(self._frames)

    def add_prompt(self, memory: Memory, *, prior: bool = False, frame: int | None = None) -> None:
        """Remember a prompted frame for good: the present one, `frame` of the clock, or (`prior`) one of another
        picture or film.
        """
        if memory.features is None:
            raise BadInput("Only the pointer is left of this memory: a prompt needs its map too. Encode it again.")
        if prior and frame is not None:
            raise BadInput(
                "A prior comes from another picture or film and has no frame on this bank's clock: leave `frame` out."
            )
        self._check_model(memory)
        place = None if prior else self.frame if frame is None else frame
        self._prompts.append(RememberedPrompt(memory, place))
        # A prompt on a frame takes the place of what was predicted there.
        self._frames = deque((known, kept) for known, kept in self._frames if known != place)

    def add_frame(self, memory: Memory) -> None:
        """Move on by one frame and remember it; what is older than the limits is forgotten."""
        self._check_model(memory)
        self.frame += 1
        self._frames.append((self.frame, memory))
        kept = []
        for time, frame, known in self._times():
            if time > max(self.max_frames, self.max_pointers - 1):
                break
            kept.append((frame, known if time <= self.max_frames else replace(known, features=None)))
        self._frames = deque(reversed(kept))

    def skip_frame(self) -> None:
        """Move on by one frame of which nothing is to be remembered."""
        self.frame += 1

    def reset_frames(self) -> None:
        """Forget the frames; keep the prompts and the clock."""
        self._frames.clear()

    def copy(self) -> "MemoryBank":
        """A bank that can go its own way; the memories themselves are shared."""
        other = MemoryBank(self.max_frames, self.max_pointers, self._rules)
        other.frame, other._prompts, other._frames = self.frame, list(self._prompts), deque(self._frames)
        return other

    def maps(self) -> list[tuple[Tensor, int | None]]:
        """What the next frame looks at: (map [h, w, Cm], its time 1..max_frames, or None for a prompt). The time is the
        distance, or the rank among the frames that count.
        """
        following = self.frame + 1
        near, far = self._near_prompts(following)
        prompts: list[tuple[Tensor, int | None]] = [
            (prompt.memory.features, None) for prompt in near if prompt.memory.features is not None
        ]
        recent = [(memory.features, time) for time, _, memory in self._times() if memory.features is not None]
        if self.rules.least_quality is None:
            # A prompted frame that is not among the nearest counts as any other frame.
            recent += [
                (each.memory.features, each.distance(following)) for each in far if each.memory.features is not None
            ]
        recent = [(features, time) for features, time in recent if 1 <= time <= self.max_frames]
        return prompts + sorted(recent, key=lambda each: -each[1])

    def pointers(self) -> list[tuple[Tensor, float]]:
        """What the next frame looks at: (pointer [C], its time as a share of the longest). Prompts that lie ahead have
        none.
        """
        if self.max_pointers == 0:
            return []
        following, longest = self.frame + 1, max(1, self.max_pointers - 1)
        prompts = [
            (prompt.memory.pointer, prompt.distance(following))
            for prompt in self._prompts
            if prompt.distance(following) >= 0
        ]
        recent = [(memory.pointer, time) for time, _, memory in self._times() if time < self.max_pointers]
        return [(pointer, time / longest) for pointer, time in (*prompts, *recent)]

    def _times(self) -> Iterator[tuple[int, int, Memory]]:
        """(time, frame, memory) of the remembered frames that count, newest first."""
        least, rank = self.rules.least_quality, 0
        for frame, memory in reversed(self._frames):
            distance = self.frame + 1 - frame
            if least is None:
                yield distance, frame, memory
            elif distance == 1 or memory.quality > least:
                rank += 1
                yield rank, frame, memory

    def _near_prompts(self, following: int) -> tuple[list[RememberedPrompt], list[RememberedPrompt]]:
        """The prompts whose maps are looked at as such, and the others. The nearest before and the nearest ahead are
        among the former, then priors, the last recorded first, and others by their distance.
        """
        most = self.rules.nearest_prompts
        if most is None or len(self._prompts) <= most:
            return self._prompts, []
        placed = [prompt for prompt in self._prompts if not prompt.prior]
        before = [prompt for prompt in placed if prompt.distance(following) > 0]
        ahead = [prompt for prompt in placed if prompt.distance(following) <= 0]
        first = [min(before, key=lambda each: each.distance(following))] if before else []
        first += [max(ahead, key=lambda each: each.distance(following))] if ahead else []
        others = [prompt for prompt in reversed(self._prompts) if prompt.prior]
        others += sorted(placed, key=lambda each: abs(each.distance(following)))
        chosen = {id(prompt) for prompt in first}
        for prompt in others:
            if len(chosen) < most:
                chosen.add(id(prompt))
        near = [prompt for prompt in self._prompts if id(prompt) in chosen]
        return near, [prompt for prompt in placed if id(prompt) not in chosen]

    @property
    def sha256(self) -> str:
        """Of everything in the bank; the same wherever and whenever it was saved."""
        record, tensors = self._contents()
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
        for name in sorted(tensors):
            digest.update(name.encode())
            digest.update(tensors[name].contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write a safetensors file: maps and pointers as tensors, everything else as JSON in its metadata."""
        record, tensors = self._contents()
        tensors = tensors or {"empty": torch.zeros(1)}
        # One memory may be there several times, and the format stores no tensors that share their bytes.
        own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
        try:
            save_file(
                own,
                str(path),
                metadata={FORMAT: json.dumps(record, sort_keys=True)},
            )
        except (OSError, SafetensorError) as error:
            raise BadInput(
                f"The memory bank can't be written to {path} ({error}): choose another place, or make room."
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> "MemoryBank":
        """Read what `save` wrote. Raises BadInput for any other file."""
        content = read_bank_file(Path(path))
        rules = content.record.rules
        bank = cls(content.record.max_frames, content.record.max_pointers, rules)
        bank.frame = content.record.frame
        for index, entry in enumerate(content.record.entries):
            features, pointer = content.tensors.get(f"{index}.features"), content.tensors[f"{index}.pointer"]
            memory = Memory(features, pointer, entry.object_score, entry.model_sha256, entry.iou, rules)
            if entry.kind == "prompt":
                bank._prompts.append(RememberedPrompt(memory, entry.frame))
            elif entry.frame is not None:
                bank._frames.append((entry.frame, memory))
        return bank

    @property
    def _first(self) -> Memory | None:
        return next((entry.memory for entry in self._prompts), None) or next((kept for _, kept in self._frames), None)

    def _check_model(self, memory: Memory) -> None:
        known = self._first
        if known is not None and known.model_sha256 != memory.model_sha256:
            raise BadInput(
                "This memory was made by another model than those in the bank, and models don't read each other's: "
                "use one bank for each model."
            )

    def _contents(self) -> tuple[dict, dict[str, Tensor]]:
        entries = [{"kind": "prompt", "frame": prompt.frame, **_describe(prompt.memory)} for prompt in self._prompts]
        for frame, memory in self._frames:
            iou = {} if memory.iou is None else {"iou": float(memory.iou)}
            entries.append({"kind": "frame", "frame": frame, **_describe(memory), **iou})
        memories = [prompt.memory for prompt in self._prompts] + [memory for _, memory in self._frames]
        tensors = {}
        for index, memory in enumerate(memories):
            tensors[f"{index}.pointer"] = memory.pointer.cpu()
            if memory.features is not None:
                tensors[f"{index}.features"] = memory.features.cpu()
        record = {
            "version": FORMAT_VERSION,
            "frame": self.frame,
            "max_frames": self.max_frames,
            "max_pointers": self.max_pointers,
            "entries": entries,
        }
        # Files and hashes of banks that follow SAM 2.1's rules stay what they were before there were others.
        if self.rules != SAM2_RULES:
            record["rules"] = self.rules.to_json()
        return record, tensors


def _describe(memory: Memory) -> dict:
    return {"object_score": float(memory.object_score), "model_sha256": memory.model_sha256}
