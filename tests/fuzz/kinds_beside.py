"""What lies beside models and pictures, and is written by hand or by other programs: settings of models, sweeps,
annotations, memory banks. Their valid neighbours lie in a folder of the kind's own.
"""

import json
import random
import shutil
import tempfile
import warnings
from pathlib import Path

from tests.fuzz.kind import Kind
from tests.fuzz.mutations import mutated, mutated_json, mutated_safetensors, mutated_yaml

PLACES = {
    ".index": "parts/model.safetensors.index.json",
    ".adapter": "adapter/adapter_config.json",
    ".beside": "model.json",
    ".config": "config/config.json",
}


class InFolder(Kind):
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="samkit-fuzz-")
        self.folder = Path(self._folder.name)
        super().__init__()

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        return mutated_json(data.decode(), rng).encode("utf-8", "replace")


class ModelSettings(InFolder):
    """config.json of transformers, an index of parts, an adapter's settings, and a JSON of the file's own name. The
    suffix says which one it is.
    """

    name = "settings"

    def make(self) -> dict[str, bytes]:
        from safetensors.torch import save_file

        from tests.models.files.people_files import in_parts, sam1, sam2, saved
        from tests.models.files.test_adapter import CONFIG, pair

        for place in ("parts", "adapter", "config"):
            (self.folder / place).mkdir()
        in_parts(self.folder / "parts")
        save_file(pair(), self.folder / "adapter" / "adapter_model.safetensors")
        saved(self.folder, sam1(), name="base.pt")
        saved(self.folder, sam2(), "sam2")
        saved(self.folder / "config", sam2(), "sam2")
        settings = {
            "architectures": ["Sam2Model"],
            "vision_config": {
                "image_size": [128, 128],
                "num_attention_heads": 1,
                "window_size": 4,
                "global_attn_indexes": [5],
                "backbone_config": {
                    "image_size": 128,
                    "num_attention_heads": 1,
                    "window_size_per_stage": [8, 4, 4, 2],
                    "global_attention_blocks": [5],
                    "window_size": 4,
                    "global_attn_indexes": [5],
                },
            },
            "mask_decoder_config": {"num_attention_heads": 4},
            "memory_attention_num_attention_heads": 1,
        }
        peft = CONFIG | {"alpha_pattern": {"attn.qkv": 2}, "rank_pattern": {"qkv": 2}, "target_modules": ["qkv"]}
        return {
            "a.index": (self.folder / PLACES[".index"]).read_bytes(),
            "a.adapter": json.dumps(peft).encode(),
            "a.beside": (self.folder / PLACES[".beside"]).read_bytes(),
            "a.config": json.dumps(settings).encode(),
        }

    def read(self, path: Path) -> None:
        from samkit.models.files.beside import said_by_config
        from samkit.models.files.locate import locate
        from samkit.models.sam import load_model

        place = self.folder / PLACES[path.suffix]
        shutil.copy(path, place)
        if path.suffix == ".config":
            for family in ("sam1", "sam2", "sam3"):
                said_by_config(locate(place.with_name("model.pt")), family)
        refs = {
            ".index": place.parent,
            ".adapter": f"{place.parent}#base={self.folder / 'base.pt'}",
            ".beside": place.with_suffix(".pt"),
            ".config": place.with_name("model.pt"),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_model(refs[path.suffix], device="cpu")


class Sweeps(InFolder):
    """Specs, and what they name: an annotation file of COCO, and prompts by the picture."""

    name = "sweeps"

    def make(self) -> dict[str, bytes]:
        from samkit.media.coco import coco_annotation, coco_file, coco_image
        from tests.work.sweep.tiny import SPEC, make_files

        make_files(self.folder)
        import numpy as np

        mask = np.zeros((40, 60), bool)
        mask[5:35, 4:30] = True
        images = [coco_image("0.png", (40, 60)), coco_image("1.png", (40, 60), 2)]
        kinds = [coco_annotation(mask), coco_annotation(~mask, 2, 2, polygons=True)]
        zipped = "zip:\n  - {upper_threshold: {from: 0, to: 2, step: 1}, stability_offset: [1, 2, 3]}\n"
        return {
            "a.yaml": SPEC.encode(),
            "b.yaml": f"{SPEC}{zipped}seed: 3\nname: a name\n".encode(),
            "a.coco": coco_file(images, kinds),
            "a.prompts": b'{"0.png": {"points": [[0.5, 0.5, 1]]}, "1.png": {"boxes": [[0.1, 0.1, 0.9, 0.9]]}}',
        }

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        if name.endswith(".yaml"):
            return mutated_yaml(data.decode(), rng).encode("utf-8", "replace")
        return super().change(name, data, rng)

    def read(self, path: Path) -> None:
        from samkit.work.sweep.cases import all_cases
        from samkit.work.sweep.cells import make_cells
        from samkit.work.sweep.spec import read_spec

        source = "photos/*.png" if path.suffix == ".prompts" else None
        lines = ["experiment: mask-stability", "models: tiny.safetensors"]
        lines += [f"pictures: {{files: {source}}}" if source else f"pictures: {{coco: {path}, images: photos}}"]
        lines += [f"prompts: {{file: {path}}}" if source else "prompts: {truth: box}"]
        place = self.folder / "spec.yaml"
        place.write_bytes(path.read_bytes() if path.suffix == ".yaml" else "\n".join(lines).encode())
        spec = read_spec(place)
        make_cells(spec, all_cases(spec))


class Banks(Kind):
    name = "banks"

    def make(self) -> dict[str, bytes]:
        import torch

        from samkit.models.memory_bank import Memory, MemoryBank
        from samkit.models.memory_rules import SAM2_RULES

        bank = MemoryBank(rules=SAM2_RULES)
        bank.add_prompt(Memory(torch.ones(2, 4, 4), torch.ones(8), 3.0, "ab" * 32))
        for _ in range(3):
            bank.add_frame(Memory(torch.ones(2, 4, 4), torch.ones(8), 2.0, "ab" * 32))
        with tempfile.TemporaryDirectory() as folder:
            bank.save(Path(folder, "bank.safetensors"))
            return {"bank.safetensors": Path(folder, "bank.safetensors").read_bytes()}

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        """Also the record, which lies as text in a text of the header."""
        if rng.random() < 0.5:
            return mutated_safetensors(data, rng)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        (key,) = header["__metadata__"]
        header["__metadata__"][key] = mutated_json(header["__metadata__"][key], rng)
        changed = json.dumps(header).encode()
        rest = data[8 + length :]
        return len(changed).to_bytes(8, "little") + changed + (mutated(rest, rng) if rng.random() < 0.2 else rest)

    def read(self, path: Path) -> None:
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank.load(path)
        bank.sha256  # noqa: B018 (asked for of each bank)
