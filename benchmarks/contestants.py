"""The packages that are timed against each other, each behind the same three steps: load a checkpoint, encode a
picture, turn one point into masks.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

from tests.parity.official import SAM1_SIZES, SAM2_SIZES, official_sam1, official_sam2

MODELS = {
    "vit_b": "sam1",
    "vit_l": "sam1",
    "mobile_sam": "sam1",
    "tiny": "sam2",
    "small": "sam2",
    "base_plus": "sam2",
    "large": "sam2",
    "sam3": "sam3",
    "sam3_short": "sam3",
}
"""sam3_short has two blocks, one with windows and one without: as much is held at a time as in all 32."""
SHORT = {"num_hidden_layers": 2, "global_attn_indexes": [1]}
NATIVE_SIDES = {"sam3": 1008, "sam3_short": 1008}
"""In pixels, where it is not 1024."""
POINT_XY = (0.4, 0.5)
TEN_XY = [(0.05 + 0.1 * step, 0.5) for step in range(10)]


def compared_with(model: str) -> str:
    """The contestant that the others' times are divided by: there is no official package of SAM 3 here."""
    return "transformers" if MODELS[model] == "sam3" else "official"


def can_run(contestant: str, model: str) -> bool:
    return MODELS[model] != "sam3" or contestant in ("samkit", "transformers")


def save_weights(model: str, folder: Path) -> Path:
    """Random weights of that size as people have them: a file of the official package, or what transformers saves."""
    path = folder / model
    if MODELS[model] == "sam3":
        from tests.parity.sam3_models import QUIET_AND_DEEP, their_config, their_model

        trunk = SHORT if model == "sam3_short" else {}
        their_model(their_config(small=False, **trunk), QUIET_AND_DEEP).save_pretrained(path)
        return path
    torch.save(official_model(model).state_dict(), path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def official_model(model: str) -> torch.nn.Module:
    """The official package's model of that size with random weights."""
    if model == "mobile_sam":
        from tests.parity.mobile_sam import MOBILE_SAM, official_mobile_sam

        return official_mobile_sam(MOBILE_SAM)
    return official_sam1(SAM1_SIZES[model]) if MODELS[model] == "sam1" else official_sam2(SAM2_SIZES[model])


class Samkit:
    """samkit from picture to features, with its own resizing."""

    def __init__(self, model: str, side: int, dtype: str):
        # Imports are not timed: the others' are done too.
        import samkit.models.sam  # noqa: F401

        self.side, self.dtype = side, dtype

    def load(self, path: Path) -> None:
        import samkit

        self.model = samkit.load_model(path, device="cpu", dtype=self.dtype)

    def encode(self, rgb: np.ndarray) -> None:
        self.encoding = self.model.encode_image(rgb, side=self.side)

    def predict(self) -> None:
        import samkit

        self.model.predict_masks(self.encoding, samkit.Prompts(points=[(*POINT_XY, 1)]))

    def predict_ten(self) -> None:
        import samkit

        self.model.predict_masks_each(self.encoding, [samkit.Prompts(points=[(*place, 1)]) for place in TEN_XY])


class Official:
    """segment-anything, sam2 or mobilesam-mirror from pixels that are already resized, so it is timed for less work
    than samkit.
    """

    def __init__(self, model: str, side: int, dtype: str):
        self.name, self.side, self.dtype = model, side, dtype

    def load(self, path: Path) -> None:
        torch.set_grad_enabled(False)
        self.model = official_model(self.name)
        self.model.load_state_dict(torch.load(path, weights_only=True))
        self.model.eval()

    def encode(self, rgb: np.ndarray) -> None:
        pixels = prepared_pixels(self.side)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == "bfloat16"):
            if MODELS[self.name] == "sam1":
                self.features = self.model.image_encoder(pixels)
            else:
                self.features = self.model.forward_image(pixels)["backbone_fpn"]

    def predict(self) -> None:
        self._predict([POINT_XY])

    def predict_ten(self) -> None:
        self._predict(TEN_XY)

    def _predict(self, places: list[tuple[float, float]]) -> None:
        """places: of one point each, of which each makes masks of its own; decoded together."""
        model, is_v1 = self.model, MODELS[self.name] == "sam1"
        encoder = model.prompt_encoder if is_v1 else model.sam_prompt_encoder
        points = torch.tensor(places)[:, None] * self.side
        labels = torch.ones(len(places), 1, dtype=torch.int)
        sparse, dense = encoder(points=(points, labels), boxes=None, masks=None)
        embeddings = {
            "image_pe": encoder.get_dense_pe(),
            "sparse_prompt_embeddings": sparse,
            "dense_prompt_embeddings": dense,
            "multimask_output": True,
        }
        if is_v1:
            model.mask_decoder(image_embeddings=self.features, **embeddings)
        else:
            low = self.features[-1] + model.no_mem_embed.view(1, -1, 1, 1)
            model.sam_mask_decoder(
                image_embeddings=low, repeat_image=len(places) > 1, high_res_features=self.features[:-1], **embeddings
            )


class Transformers:
    """Hugging Face transformers' vision encoder with weights of its own (speed does not depend on them); v2 runs the
    tiny size only. SAM 3 runs whole, from the same weights as samkit, at its native side alone.
    """

    def __init__(self, model: str, side: int, dtype: str):
        if (
            model not in ("vit_b", "tiny", "sam3", "sam3_short")
            or dtype != "float32"
            or side != NATIVE_SIDES.get(model, side)
        ):
            raise ValueError("not set up for this model")
        self.name, self.side = model, side

    def load(self, path: Path) -> None:
        import transformers

        torch.set_grad_enabled(False)
        if MODELS[self.name] == "sam3":
            self.model = transformers.Sam3TrackerModel.from_pretrained(path).eval()
        elif self.name == "vit_b":
            config = transformers.SamVisionConfig(image_size=self.side)
            config._attn_implementation = "sdpa"
            self.encoder = transformers.models.sam.modeling_sam.SamVisionEncoder(config).eval()
        else:
            config = transformers.Sam2Config().vision_config
            self.encoder = transformers.Sam2VisionModel(config).eval()

    def encode(self, rgb: np.ndarray) -> None:
        if MODELS[self.name] == "sam3":
            self.features = self.model.get_image_embeddings(prepared_pixels(self.side))
        else:
            self.encoder(prepared_pixels(self.side))

    def predict(self) -> None:
        if MODELS[self.name] != "sam3":
            raise ValueError("only the encoder is set up")
        point = self.side * torch.tensor([[[POINT_XY]]])
        self.model(image_embeddings=self.features, input_points=point, input_labels=torch.ones(1, 1, 1).long())


class OnnxRuntime:
    """The official image encoder exported to ONNX."""

    def __init__(self, model: str, side: int, dtype: str):
        if dtype != "float32":
            raise ValueError("not set up for this dtype")
        self.name, self.side = model, side

    def load(self, path: Path) -> None:
        import onnxruntime

        torch.set_grad_enabled(False)
        with tempfile.TemporaryDirectory() as folder:
            exported = Path(folder) / "encoder.onnx"
            model = official_model(self.name)
            encoder = model.image_encoder if MODELS[self.name] == "sam1" else _FirstFeatures(model)
            torch.onnx.export(
                encoder,
                (prepared_pixels(self.side),),
                str(exported),
                dynamo=False,
                opset_version=17,
                input_names=["pixels"],
            )
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            self.session = onnxruntime.InferenceSession(str(exported), options, providers=["CPUExecutionProvider"])

    def encode(self, rgb: np.ndarray) -> None:
        self.session.run(None, {"pixels": prepared_pixels(self.side).numpy()})


class _FirstFeatures(torch.nn.Module):
    def __init__(self, model: torch.nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.model.forward_image(pixels)["backbone_fpn"])


CONTESTANTS = {"samkit": Samkit, "official": Official, "transformers": Transformers, "onnxruntime": OnnxRuntime}


def prepared_pixels(side: int) -> torch.Tensor:
    """[1, 3, side, side] normalised noise, the same each time."""
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
