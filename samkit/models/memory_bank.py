"""What is remembered while an object is followed: prompted frames for ever, the last few frames for a while.

Times. The bank counts frames. It starts at frame 0; a prompt is remembered at the present frame; `add_frame` and
`skip_frame` move on by one; the frame that is tracked next is the one after the present one. A memory's map takes part
with the time of a prompted frame if it is one, else with its distance (1 to 6) from the frame that is tracked; an
object pointer with its distance as a share of `max_pointers - 1`.

Priors. A memory from another picture or film has no time on this clock. Its map takes part like any prompted frame's.
Its pointer keeps the distance 1 for ever, as if the prompt had been on the frame before the one that is tracked:
a prompt that near is what the official models were trained on, and a prior that aged would carry its pointer's time,
and with it the answer, out of the trained range in a long film.
"""

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from samkit.errors import BadInput
from samkit.models.bank_file import FORMAT, FORMAT_VERSION, read_bank_file

PRIOR_DISTANCE = 1


@dataclass(frozen=True)
class Memory:
    """One frame as a model remembers it.

    features:     bfloat16 [h, w, Cm], or None where only the pointer is left (bfloat16 as in the official video
                  predictor)
    pointer:      float32 [C]
    object_score: above 0 where the object was judged present in the frame
    """

    features: Tensor | None = field(repr=False)
    pointer: Tensor = field(repr=False)
    object_score: float
    model_sha256: str

    @property
    def present(self) -> bool:
        return self.object_score > 0


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
    """

    def __init__(self, max_frames: int = 6, max_pointers: int = 16):
        if max_frames < 0 or max_pointers < 0:
            raise BadInput(f"A memory bank holds 0 or more frames and pointers, not {max_frames} and {max_pointers}.")
        self.max_frames = max_frames
        self.max_pointers = max_pointers
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
        while self._frames and self.frame + 1 - self._frames[0][0] > max(self.max_frames, self.max_pointers - 1):
            self._frames.popleft()
        for index, (frame, kept) in enumerate(self._frames):
            if self.frame + 1 - frame > self.max_frames and kept.features is not None:
                self._frames[index] = frame, replace(kept, features=None)

    def skip_frame(self) -> None:
        """Move on by one frame of which nothing is to be remembered."""
        self.frame += 1

    def reset_frames(self) -> None:
        """Forget the frames; keep the prompts and the clock."""
        self._frames.clear()

    def copy(self) -> "MemoryBank":
        """A bank that can go its own way; the memories themselves are shared."""
        other = MemoryBank(self.max_frames, self.max_pointers)
        other.frame, other._prompts, other._frames = self.frame, list(self._prompts), deque(self._frames)
        return other

    def maps(self) -> list[tuple[Tensor, int | None]]:
        """What the next frame looks at: (map [h, w, Cm], its distance 1..max_frames, or None for a prompt)."""
        following = self.frame + 1
        prompts: list[tuple[Tensor, int | None]] = [
            (prompt.memory.features, None) for prompt in self._prompts if prompt.memory.features is not None
        ]
        recent = [
            (memory.features, following - frame)
            for frame, memory in self._frames
            if memory.features is not None and following - frame <= self.max_frames
        ]
        return prompts + recent

    def pointers(self) -> list[tuple[Tensor, float]]:
        """What the next frame looks at: (pointer [C], distance as a share of the longest). Prompts that lie ahead have
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
        recent = [
            (memory.pointer, following - frame)
            for frame, memory in reversed(self._frames)
            if following - frame < self.max_pointers
        ]
        return [(pointer, distance / longest) for pointer, distance in (*prompts, *recent)]

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
        bank = cls(content.record.max_frames, content.record.max_pointers)
        bank.frame = content.record.frame
        for index, entry in enumerate(content.record.entries):
            features, pointer = content.tensors.get(f"{index}.features"), content.tensors[f"{index}.pointer"]
            memory = Memory(features, pointer, entry.object_score, entry.model_sha256)
            if entry.kind == "prompt":
                bank._prompts.append(RememberedPrompt(memory, entry.frame))
            elif entry.frame is not None:
                bank._frames.append((entry.frame, memory))
        return bank

    def _check_model(self, memory: Memory) -> None:
        known = next((entry.memory for entry in self._prompts), None) or next((kept for _, kept in self._frames), None)
        if known is not None and known.model_sha256 != memory.model_sha256:
            raise BadInput(
                "This memory was made by another model than those in the bank, and models don't read each other's: "
                "use one bank for each model."
            )

    def _contents(self) -> tuple[dict, dict[str, Tensor]]:
        entries = [{"kind": "prompt", "frame": prompt.frame, **_describe(prompt.memory)} for prompt in self._prompts]
        entries += [{"kind": "frame", "frame": frame, **_describe(memory)} for frame, memory in self._frames]
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
        return record, tensors


def _describe(memory: Memory) -> dict:
    return {"object_score": float(memory.object_score), "model_sha256": memory.model_sha256}
