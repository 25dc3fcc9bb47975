"""SAM 3's tracker beside that of Hugging Face transformers (`Sam3TrackerVideoModel`), which is the only oracle here:
random weights, the same features of each frame for both, so that nothing but remembering and following is compared.

transformers has no choice among the frames, and departs in three places from how SAM 3 is described: a mask is resized
before it is squashed, a given mask goes in at the input's size, and its pointer is that of the best of three masks.
Those are samkit's `TRANSFORMERS_RULES`, which are compared with transformers as it is. For `SAM3_RULES` the oracle is
changed in these places (`as_described`).
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Declares the operators without which torchvision, which transformers imports, doesn't load.
import tests.parity.official  # noqa: F401
from samkit.models.config import ModelConfig, _read_decoder, _read_memory, module_keys
from samkit.models.encoding import EncodeSettings, ImageEncoding, MaskPrediction
from samkit.models.files.metadata import read_metadata
from samkit.models.files.transformers_keys import POINT_TABLE, official_names
from samkit.models.geometry import ImageGeometry
from samkit.models.memory_bank import MemoryBank
from samkit.models.memory_rules import SAM3_RULES, TRANSFORMERS_RULES, MemoryRules
from samkit.models.network.memory_side import hide_absent
from samkit.models.network.prompt_encoder import PADDING
from samkit.models.sam_network import SamNetwork
from samkit.models.track import encoding_features, no_points, remember_mask, remember_prediction, track_frame
from tests.random_models import SMALL_SAM2

GRID, PATCH, FRAMES = 12, 14, 20
SIDE = GRID * PATCH
CLICK = [(0.31, 0.55, 1)]
MORE_CLICKS = [(0.6, 0.5, 1), (0.1, 0.1, 0)]
BOX = [(0.1, 0.3, 2), (0.5, 0.8, 3)]
QUIET = 0.5
LOUDER = {
    "memory_temporal_positional_encoding": 0.5,
    "temporal_positional_encoding_projection_layer.weight": 8.0,
    "upscale_conv2.weight": 3.0,
    "pred_obj_score_head.proj_out.weight": 6.0,
}
"""Random weights on which times hardly tell, and which judge all frames alike, are multiplied by these."""


@dataclass(frozen=True)
class Size:
    """grid: tokens along a side; width: of features and everything behind them; heads: of the mask decoder; rest: what
    else the configuration says of decoder, and of tracker. The trunk is small in all of them.
    """

    grid: int
    width: int
    heads: int
    decoder: dict[str, Any]
    tracker: dict[str, Any]

    @property
    def side(self) -> int:
        return self.grid * PATCH


SHRUNKEN = Size(
    GRID,
    128,
    4,
    {"mlp_dim": 64},
    {
        "memory_attention_num_layers": 2,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_fuser_intermediate_dim": 64,
    },
)
OFFICIAL = Size(72, 256, 8, {}, {})


def their_config(size: Size) -> dict[str, Any]:
    trunk = {
        "model_type": "sam3_vit_model",
        "layer_norm_eps": 1e-5,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 1,
        "window_size": 4,
        "global_attn_indexes": [1, 3],
        "image_size": size.side,
        "pretrain_image_size": 56,
    }
    grid, width = size.grid, size.width
    return {
        "vision_config": {
            "model_type": "sam3_vision_model",
            "backbone_config": trunk,
            "fpn_hidden_size": width,
            "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
        },
        "prompt_encoder_config": {"hidden_size": width, "image_size": size.side},
        "mask_decoder_config": {
            "hidden_size": width,
            "num_attention_heads": size.heads,
            "iou_head_hidden_dim": width,
            "dynamic_multimask_via_stability": False,
            **size.decoder,
        },
        "image_size": size.side,
        "memory_attention_hidden_size": width,
        "memory_encoder_hidden_size": width,
        "memory_encoder_output_channels": 64,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_embed_dim": width,
        **size.tracker,
    }


@dataclass(frozen=True)
class Pair:
    """size: of both; theirs: transformers' model; network: samkit's, of the same weights but for the encoder; film:
    float32 [N, 3, side, side]; seen: of each frame, what transformers' encoder gives; encodings: the same for samkit.
    """

    size: Size
    theirs: Any
    network: SamNetwork
    film: Tensor
    seen: tuple[dict[str, Any], ...]
    encodings: tuple[ImageEncoding, ...]


def their_model(size: Size) -> Any:
    import transformers

    model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig(**their_config(size))).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            values = torch.randn(tensor.shape, generator=generator)
            if "norm" in key and key.endswith("weight"):
                values = 1 + 0.1 * values
            elif key.endswith("bias"):
                values = 0.1 * values
            elif tensor.ndim > 1 and "embed" not in key and "token" not in key and "temporal_positional" not in key:
                values = QUIET * values / tensor[0].numel() ** 0.5
            tensor.copy_(values * next((factor for part, factor in LOUDER.items() if part in key), 1.0))
        shared = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    return model


def our_network(theirs: Any, size: Size) -> SamNetwork:
    """With a SAM 2 encoder that nobody asks."""
    state = {key: tensor for key, tensor in theirs.state_dict().items() if not key.startswith("vision_encoder.")}
    official = {name: state[key] for key, name in official_names(state.keys(), "sam2").items()}
    for number, row in enumerate(official.pop(POINT_TABLE)):
        official[f"sam_prompt_encoder.point_embeddings.{number}.weight"] = row[None]
    said = read_metadata({"decoder_heads": size.heads})
    decoder = _read_decoder(official, "sam_mask_decoder.", said, mlp_in="mlp.layers.0")
    config = ModelConfig("sam2", "2.1", size.side, SMALL_SAM2.encoder, decoder, _read_memory(official, said))
    network = SamNetwork(config).eval().requires_grad_(False)
    missing, unknown = network.load_state_dict(module_keys(official, config), strict=False)
    assert not unknown and all(key.startswith("image_encoder.") for key in missing)
    return network


def make_pair(size: Size = SHRUNKEN, count: int = FRAMES) -> Pair:
    """count: of frames."""
    theirs, side = their_model(size), size.side
    geometry = ImageGeometry((side, side), (side, side), (side, side))
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side] * (SIDE / side)
    frames = []
    for index in range(count):
        disc = (x - 40 - 4 * index) ** 2 + (y - 80 - 10 * np.sin(index / 3)) ** 2 < 35**2
        ground = 128 + 50 * np.sin(x / 9 + index / 5)
        frames.append(np.where(disc[..., None], (220, 180, 60), ground[..., None]) + rng.normal(0, 6, (side, side, 3)))
    film = torch.tensor(np.stack(frames) / 127.5 - 1).float().permute(0, 3, 1, 2)
    seen, encodings = [], []
    with torch.inference_mode():
        for pixels in film:
            output = theirs.get_image_features(pixels[None], return_dict=True)
            levels = output.fpn_hidden_states
            seen.append({"vision_feats": levels, "vision_pos_embeds": output.fpn_position_encoding})
            sizes = theirs.backbone_feature_sizes
            maps = [level[:, 0].T.unflatten(1, tuple(size)) for level, size in zip(levels, sizes, strict=True)]
            settings = EncodeSettings(side, "native", ())
            encodings.append(ImageEncoding(tuple(reversed(maps)), (), None, geometry, settings, "sam3", 0.0))
    return Pair(size, theirs, our_network(theirs, size), film, tuple(seen), tuple(encodings))


class BothSides:
    """One object followed by both; prompts go to both. logits, scores: of samkit, by frame; apart: the largest
    difference of logits so far; scores_apart: of object scores.
    """

    def __init__(self, pair: Pair, rules: MemoryRules = TRANSFORMERS_RULES):
        from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoInferenceSession

        self.pair, self.rules = pair, rules
        self.session = Sam3TrackerVideoInferenceSession(
            video=pair.film, video_height=pair.size.side, video_width=pair.size.side, dtype=torch.float32
        )
        self.session.cache.get_vision_features = pair.seen.__getitem__
        self.place = self.session.obj_id_to_idx(1)
        self.bank = MemoryBank(max_pointers=16, rules=rules)
        self.scores: dict[int, float] = {}
        self.logits: dict[int, Tensor] = {}
        self.apart = self.scores_apart = 0.0

    def prompt(self, frame: int, points: list[tuple[float, float, int]], ahead: int | None = None) -> None:
        """ahead: the frame on the bank's clock, where it is not the present one."""
        side = self.pair.size.side
        xy = torch.tensor([[[[side * x, side * y] for x, y, _ in points]]])
        labels = torch.tensor([[[label for *_, label in points]]], dtype=torch.int32)
        self.session.add_point_inputs(self.place, frame, {"point_coords": xy, "point_labels": labels})
        answer = self._ask(frame)
        ours = torch.cat([(xy[0, 0] + 0.5) / side, torch.zeros(1, 2)])[None]
        kinds = torch.cat([labels[0, 0].long(), torch.tensor([PADDING])])[None]
        encoding = self.pair.encodings[frame]
        decoded = self.pair.network.decode(encoding_features(encoding), ours, kinds)
        assert decoded.object_score is not None
        prediction = MaskPrediction(
            decoded.logits[0],
            decoded.iou[0],
            float(decoded.object_score),
            decoded.mask_tokens[0],
            encoding.geometry,
            0.0,
            prompted=True,
        )
        index = prediction.best if len(points) == 1 else 0
        shown = hide_absent(prediction.logits[index], decoded.object_score[0, 0] > 0)
        self._compare(frame, answer, shown, float(decoded.object_score))
        memory = remember_prediction(self.pair.network, encoding, prediction, index, self.rules)
        self.bank.add_prompt(memory, frame=ahead)

    def give_mask(self, frame: int, mask: np.ndarray) -> None:
        """mask: bool [side, side]."""
        self.session.add_mask_inputs(self.place, frame, torch.tensor(mask)[None, None].float())
        self._ask(frame)
        self.bank.add_prompt(remember_mask(self.pair.network, self.pair.encodings[frame], mask, self.rules))

    def follow(self, frames: range) -> None:
        for frame in frames:
            answer = self.pair.theirs(self.session, frame_idx=frame, reverse=frames.step < 0)
            if frame in self.logits:
                self.bank.skip_frame()
                continue
            encoding = self.pair.encodings[frame]
            step = track_frame(self.pair.network, encoding, self.bank, *no_points(torch.device("cpu")), None)
            assert step.object_score is not None
            self._compare(frame, answer, step.logits[step.best], step.object_score)
            self.bank.add_frame(remember_prediction(self.pair.network, encoding, step, step.best, self.rules))

    def _ask(self, frame: int) -> Any:
        self.session.obj_with_new_inputs.append(1)
        return self.pair.theirs(self.session, frame_idx=frame)

    def _compare(self, frame: int, answer: Any, logits: Tensor, score: float) -> None:
        self.logits[frame], self.scores[frame] = logits, score
        self.apart = max(self.apart, float((answer.pred_masks[0, 0] - logits).abs().max()))
        self.scores_apart = max(self.scores_apart, abs(float(answer.object_score_logits) - score))


def from_click(both: BothSides) -> None:
    both.prompt(0, CLICK)
    both.follow(range(1, len(both.pair.film)))


def from_box(both: BothSides) -> None:
    both.prompt(0, BOX)
    both.follow(range(1, FRAMES))


def from_mask(both: BothSides) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[50:121, 20:91] = True
    both.give_mask(0, mask)
    both.follow(range(1, FRAMES))


def from_empty_mask(both: BothSides) -> None:
    both.give_mask(0, np.zeros((SIDE, SIDE), bool))
    both.follow(range(1, 3))


def second_prompt(both: BothSides) -> None:
    """Followed, prompted on a frame not seen before, followed on."""
    both.prompt(0, CLICK)
    both.follow(range(1, 10))
    both.bank.skip_frame()
    both.prompt(10, MORE_CLICKS)
    both.follow(range(11, FRAMES))


def backwards(both: BothSides) -> None:
    both.prompt(FRAMES - 1, CLICK)
    both.follow(range(FRAMES - 2, -1, -1))


def many_prompts(both: BothSides) -> None:
    """Seven frames are prompted beforehand, five of them near each other: more than are looked at."""
    for frame in (0, 1, 2, 3, 4, 9, 15):
        both.prompt(frame, CLICK if frame % 2 else BOX, ahead=frame)
    both.follow(range(1, FRAMES))


CASES: dict[str, Callable[[BothSides], None]] = {
    "click": from_click,
    "box": from_box,
    "mask": from_mask,
    "empty mask": from_empty_mask,
    "second prompt": second_prompt,
    "backwards": backwards,
    "seven prompted frames": many_prompts,
}


@contextmanager
def judged_with(pair: Pair, bias: float) -> Any:
    """Both models add so much to every object score."""
    theirs = pair.theirs.mask_decoder.pred_obj_score_head.proj_out.bias
    ours = pair.network.mask_decoder.pred_obj_score_head.layers[-1].bias
    with torch.no_grad():
        for each in {id(each): each for each in (theirs, ours)}.values():
            each += bias
    try:
        yield
    finally:
        with torch.no_grad():
            for each in {id(each): each for each in (theirs, ours)}.values():
                each -= bias


@contextmanager
def as_described(pair: Pair, rules: MemoryRules = SAM3_RULES) -> Any:
    """transformers' model, but: masks are squashed at the input's size; given ones are taken at 16 times the grid, with
    the single mask's pointer; and frames are chosen by their quality, where the rules do that.
    """
    theirs = pair.theirs
    decode, infer = theirs._single_frame_forward, theirs._run_single_frame_inference
    latest: dict[str, float] = {}

    def forward(**given: Any) -> Any:
        answer = decode(**given)
        latest["iou"] = float(answer.iou_scores.max())
        return answer

    def infer_frame(**given: Any) -> dict[str, Any]:
        found = infer(**given)
        score = float(found["object_score_logits"])
        found["quality"] = (2 / (1 + np.exp(-score)) - 1) * latest["iou"] if score > 0 else 0.0
        return found

    def remember(current_vision_feats: Tensor, pred_masks_high_res: Tensor, object_score_logits: Tensor, **given: Any):
        logits, by_hand = pred_masks_high_res, given["is_mask_from_pts"]
        squashed = 20 * ((logits > 0).float() if by_hand else logits.sigmoid()) - 10
        squashed = F.interpolate(squashed, size=(16 * GRID, 16 * GRID), mode="bilinear", antialias=True)
        features = current_vision_feats.permute(1, 2, 0).unflatten(2, (GRID, GRID))
        memory, positions = theirs.memory_encoder(features, squashed)
        absent = (object_score_logits <= 0).float()[..., None]
        memory = memory + absent * theirs.occlusion_spatial_embedding_parameter[..., None, None]
        return memory.bfloat16().flatten(2).permute(2, 0, 1), positions.flatten(2).permute(2, 0, 1)

    def take_mask(backbone_features: Tensor, high_res_features: list[Tensor], mask_inputs: Tensor) -> Any:
        mask = F.interpolate(mask_inputs, size=(16 * GRID, 16 * GRID), mode="bilinear", antialias=True)
        mask = (mask >= 0.5).float()
        quarter = 4 * (16 * GRID // PATCH)
        low = F.interpolate(20 * mask - 10, size=(quarter, quarter), mode="bilinear", antialias=True)
        low = F.interpolate(low, size=(4 * GRID, 4 * GRID), mode="bilinear")
        answer = decode(
            input_masks=theirs.mask_downsample(mask),
            image_embeddings=[*high_res_features, backbone_features],
            multimask_output=False,
        )
        latest["iou"] = 1.0
        if not mask.any():
            answer.object_pointer = theirs.no_object_pointer[None]
        answer.pred_masks, answer.object_score_logits = low, torch.full((1, 1, 1), 10.0 if mask.any() else -10.0)
        answer.high_res_masks = F.interpolate(low, size=(SIDE, SIDE), mode="bilinear")
        return answer

    def ranked(session: Any, frame: int, reverse: bool) -> list[dict[str, Any]]:
        """Frames that count, nearest first; the one just before whatever it is."""
        step, kept = (1 if reverse else -1), session.output_dict_per_obj[0]["non_cond_frame_outputs"]
        behind = [at for at in (range(frame + 1, FRAMES) if reverse else range(frame - 1, -1, -1)) if at in kept]
        return [kept[at] for at in behind if at == frame + step or kept[at]["quality"] > rules.least_quality]

    def gather(session: Any, obj_idx: int, frame: int, reverse: bool = False) -> list[tuple[int, dict[str, Any]]]:
        prompted, _ = theirs._select_closest_cond_frames(frame, session.output_dict_per_obj[0]["cond_frame_outputs"], 4)
        nearest = list(enumerate(ranked(session, frame, reverse)[:6], start=1))
        return [(0, each) for each in prompted.values()] + nearest[::-1]

    def pointers(session: Any, obj_idx: int, frame: int, total: int, device: Any, reverse: bool = False, *rest: Any):
        prompted = session.output_dict_per_obj[0]["cond_frame_outputs"]
        passed = {at: each for at, each in prompted.items() if (at >= frame if reverse else at <= frame)}
        nearest = ranked(session, frame, reverse)[:15]
        times = [abs(frame - at) for at in passed] + list(range(1, len(nearest) + 1))
        return times, [each["object_pointer"] for each in (*passed.values(), *nearest)], 16

    changed: dict[str, Any] = {
        "_single_frame_forward": forward,
        "_run_single_frame_inference": infer_frame,
        "_encode_new_memory": remember,
        "_use_mask_as_output": take_mask,
    }
    if rules.least_quality is not None:
        changed |= {"_gather_memory_frame_outputs": gather, "_get_object_pointers": pointers}
    with patch.multiple(theirs, **changed):
        yield


def without(rules: MemoryRules, **changes: Any) -> MemoryRules:
    return replace(rules, name="changed", **changes)
