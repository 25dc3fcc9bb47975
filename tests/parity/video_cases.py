"""Films, prompts and comparisons of the video parity tests: samkit's memory bank against the official
`SAM2VideoPredictor`, post-processing off.

Each comparison follows an object through a film with both and returns the largest differences of the logits (in the
film's pixels and at low resolution), of the object score and of the object pointer.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import samkit
from samkit.models.memory_bank import MemoryBank
from samkit.models.network.memory_side import hide_absent
from tests.parity.cases import size_of
from tests.parity.official import official_sam2

CLICK = samkit.Prompts(points=[(0.4, 0.55, 1)])
LATER_CLICKS = samkit.Prompts(points=[(0.6, 0.5, 1), (0.1, 0.1, 0)])
BOX = samkit.Prompts(boxes=[(0.2, 0.3, 0.6, 0.8)])
MAX_POINTERS = 16
LOUDER = {
    "maskmem_tpos_enc": 40.0,
    "obj_ptr_tpos_proj.weight": 8.0,
    "cross_attn_image.k_proj.weight": 4.0,
    "cross_attn_image.q_proj.weight": 4.0,
    "attn_image.out_proj.w": 3.0,
}
"""Random weights on which times hardly tell: parts of the memory side are multiplied by these, so that a wrong time,
slot or pointer moves the masks.
"""


@dataclass(frozen=True)
class Film:
    """A folder of JPEG files, as the official predictor reads them, and the same frames as arrays."""

    folder: Path
    frames: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class VideoPair:
    """The same weights in both packages."""

    size: object
    official: torch.nn.Module
    model: samkit.SamModel


@dataclass(frozen=True)
class Difference:
    """Largest absolute differences over a run; `scores`: samkit's object scores."""

    logits: float
    score: float
    pointer: float
    scores: tuple[float, ...]

    def within(self) -> bool:
        return self.logits <= 1e-3 and self.score <= 1e-4 and self.pointer <= 1e-4


def make_film(folder: Path, frames: int, height: int = 120, width: int = 168) -> Film:
    """A bright disc that crosses a textured ground."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(frames)
    ground = rng.integers(40, 140, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, 0).repeat(8, 1)[:height, :width]
    y, x = np.mgrid[0:height, 0:width]
    for index in range(frames):
        share = index / max(1, frames - 1)
        disc = (x - width * (0.3 + 0.5 * share)) ** 2 + (y - height * (0.55 + 0.1 * np.sin(6 * share))) ** 2 < (
            height * 0.2
        ) ** 2
        frame = np.where(disc[..., None], (220, 180, 60), ground) + rng.normal(0, 6, (height, width, 3))
        Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(folder / f"{index:05d}.jpg", quality=95)
    return Film(folder, tuple(np.array(Image.open(path)) for path in sorted(folder.iterdir())))


def load_video_pair(name: str, folder: Path, score_bias: float = 2.0) -> VideoPair:
    """score_bias is added to every object score; with the default the object is judged present on every frame."""
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    size = size_of(name)
    official = official_sam2(size, cls=SAM2VideoPredictor)
    with torch.no_grad():
        official.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += score_bias
        for key, parameter in official.named_parameters():
            parameter *= next((factor for part, factor in LOUDER.items() if part in key), 1.0)
    metadata = {
        "native_side": size.side,
        "num_heads": size.num_heads,
        "window_sizes": size.windows,
        "global_blocks": size.global_blocks,
    }
    path = folder / f"{name.replace(' ', '-')}{score_bias:.3f}.safetensors"
    save_file(
        {key: tensor.contiguous() for key, tensor in official.state_dict().items()},
        path,
        metadata={"samkit": json.dumps(metadata)},
    )
    return VideoPair(size, official, samkit.load_model(path, device="cpu"))


class BothSides:
    """One object followed by both; prompts go to both, in the same order."""

    def __init__(self, pair: VideoPair, film: Film):
        self.pair, self.film = pair, film
        self.state = pair.official.init_state(str(film.folder))
        self.bank = MemoryBank(max_pointers=min(MAX_POINTERS, len(film.frames)))
        self.ours: dict[int, tuple] = {}

    def encode(self, frame: int) -> samkit.ImageEncoding:
        return self.pair.model.encode_image(self.film.frames[frame], film=True)

    def prompt(self, frame: int, prompts: samkit.Prompts, ahead: int | None = None) -> None:
        """On a frame that was not tracked yet."""
        self._prompt_official(frame, prompts)
        encoding = self.encode(frame)
        prediction = self.pair.model.predict_masks(encoding, prompts)
        index = prediction.best if prompts.count == 1 and not prompts.boxes else 0
        memory = self.pair.model.encode_memory(encoding, prediction, index)
        self.bank.add_prompt(memory, frame=ahead)
        # The official video predictor hides an absent object on prompted frames too; `predict_masks` is the image
        # predictor's.
        logits = hide_absent(prediction.logits[index], torch.tensor(prediction.object_score > 0))
        self.ours[frame] = logits, prediction.object_score, memory.pointer, None

    def prompt_mask(self, frame: int, mask: np.ndarray) -> None:
        self.pair.official.add_new_mask(self.state, frame, 1, torch.from_numpy(mask))
        memory = self.pair.model.encode_memory(self.encode(frame), mask)
        self.bank.add_prompt(memory)
        self.ours[frame] = None, memory.object_score, memory.pointer, None

    def correct(self, frame: int, prompts: samkit.Prompts) -> None:
        """On the frame after those in the bank, which the official side has tracked already: its mask is fed back."""
        self._prompt_official(frame, prompts)
        encoding = self.encode(frame)
        first = self.pair.model.track(encoding, self.bank)
        again = self.pair.model.track(encoding, self.bank, prompts, first.logits[first.best].clamp(-32, 32))
        self._remember(frame, encoding, again, again.best if prompts.count == 1 else 0)

    def follow(self, frames: range) -> None:
        """Track these frames, forwards or backwards, on both sides."""
        reverse = frames.step < 0
        for _ in self.pair.official.propagate_in_video(self.state, frames[0], len(frames) - 1, reverse=reverse):
            pass
        for frame in frames:
            if frame not in self.ours:
                encoding = self.encode(frame)
                step = self.pair.model.track(encoding, self.bank)
                self._remember(frame, encoding, step, step.best)
            elif frame != frames[0]:
                self.bank.skip_frame()

    def _remember(self, frame: int, encoding, prediction, index: int) -> None:
        memory = self.pair.model.encode_memory(encoding, prediction, index)
        self.bank.add_frame(memory)
        self.ours[frame] = (
            prediction.logits[index],
            prediction.object_score,
            memory.pointer,
            prediction.logits_at(index),
        )

    def _prompt_official(self, frame: int, prompts: samkit.Prompts) -> None:
        height, width = self.film.frames[0].shape[:2]
        arguments = {}
        if prompts.points:
            arguments["points"] = np.array([(x * width, y * height) for x, y, _ in prompts.points], np.float32)
            arguments["labels"] = np.array([label for *_, label in prompts.points], np.int32)
        if prompts.boxes:
            arguments["box"] = np.array(prompts.boxes[0], np.float32) * np.array(
                [width, height, width, height], np.float32
            )
        self.pair.official.add_new_points_or_box(self.state, frame, 1, **arguments)

    def difference(self) -> Difference:
        outputs = self.state["output_dict_per_obj"][0]
        theirs = {**outputs["non_cond_frame_outputs"], **outputs["cond_frame_outputs"]}
        assert set(theirs) == set(self.ours)
        logits, scores, pointers = [0.0], [], []
        for frame, (low, score, pointer, full) in self.ours.items():
            their = theirs[frame]
            scores.append(abs(score - float(their["object_score_logits"])))
            pointers.append((pointer - their["obj_ptr"][0]).abs().max().item())
            if low is not None:
                logits.append((low - their["pred_masks"][0, 0]).abs().max().item())
            if full is not None:
                _, resized = self.pair.official._get_orig_video_res_output(self.state, their["pred_masks"])
                logits.append(np.abs(full - resized[0, 0].numpy()).max().item())
        return Difference(max(logits), max(scores), max(pointers), tuple(score for _, score, *_ in self.ours.values()))


def from_click(pair: VideoPair, film: Film) -> Difference:
    return _from_prompt(pair, film, CLICK)


def from_box(pair: VideoPair, film: Film) -> Difference:
    return _from_prompt(pair, film, BOX)


def _from_prompt(pair: VideoPair, film: Film, prompts: samkit.Prompts) -> Difference:
    both = BothSides(pair, film)
    both.prompt(0, prompts)
    both.follow(range(len(film.frames)))
    return both.difference()


def from_mask(pair: VideoPair, film: Film) -> Difference:
    both = BothSides(pair, film)
    height, width = film.frames[0].shape[:2]
    mask = np.zeros((height, width), bool)
    mask[height // 3 : 3 * height // 4, width // 5 : width // 2] = True
    both.prompt_mask(0, mask)
    both.follow(range(len(film.frames)))
    return both.difference()


def from_empty_mask(pair: VideoPair, film: Film) -> Difference:
    """The mask of the first frame is empty: the object is absent there."""
    both = BothSides(pair, film)
    both.prompt_mask(0, np.zeros(film.frames[0].shape[:2], bool))
    both.follow(range(min(8, len(film.frames))))
    return both.difference()


def second_prompt(pair: VideoPair, film: Film) -> Difference:
    """Prompted, followed, prompted again on a frame not seen before, followed on."""
    both, middle = BothSides(pair, film), len(film.frames) // 2
    both.prompt(0, CLICK)
    both.follow(range(middle))
    both.bank.skip_frame()
    both.prompt(middle, LATER_CLICKS)
    both.follow(range(middle, len(film.frames)))
    return both.difference()


def prompt_ahead(pair: VideoPair, film: Film) -> Difference:
    """Two frames are prompted before anything is followed."""
    both, middle = BothSides(pair, film), len(film.frames) // 2
    both.prompt(0, CLICK)
    both.prompt(middle, BOX, ahead=middle)
    both.follow(range(len(film.frames)))
    return both.difference()


def correction(pair: VideoPair, film: Film) -> Difference:
    """A frame that was tracked is corrected by clicks; its first mask is fed back."""
    both, middle = BothSides(pair, film), min(5, len(film.frames) - 2)
    both.prompt(0, BOX)
    both.follow(range(middle))
    for _ in pair.official.propagate_in_video(both.state, middle, 0):
        pass
    both.correct(middle, LATER_CLICKS)
    # The official side tracks a corrected frame anew when it is asked to; go on after it.
    both.follow(range(middle + 1, len(film.frames)))
    return both.difference()


def backwards(pair: VideoPair, film: Film) -> Difference:
    both, last = BothSides(pair, film), len(film.frames) - 1
    both.prompt(last, CLICK)
    both.follow(range(last, -1, -1))
    return both.difference()


CASES = {
    "click": from_click,
    "box": from_box,
    "mask": from_mask,
    "empty mask": from_empty_mask,
    "second prompt on a later frame": second_prompt,
    "two frames prompted beforehand": prompt_ahead,
    "correction of a tracked frame": correction,
    "backwards": backwards,
}


def absent_pair(name: str, folder: Path, film: Film) -> VideoPair:
    """Weights whose object scores over `film` lie on both sides of 0, none of them near it."""
    scores = np.sort(from_click(load_video_pair(name, folder), film).scores[1:])
    gaps = np.diff(scores[2:-2])
    place = 2 + int(gaps.argmax())
    return load_video_pair(name, folder, score_bias=2.0 - float(scores[place] + scores[place + 1]) / 2)
