"""What is fuzzed: for each kind of input valid files, how they are changed, and how samkit reads them."""

import json
import random
import tempfile
import warnings
from pathlib import Path

import numpy as np

from tests.fuzz.kind import Kind
from tests.fuzz.kinds_beside import Banks, ModelSettings, Sweeps
from tests.fuzz.mutations import mutated, mutated_json, mutated_safetensors, mutated_zip


class Pictures(Kind):
    name = "pictures"

    def make(self) -> dict[str, bytes]:
        import io

        from PIL import Image

        rng = np.random.default_rng(0)
        rgb = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        deep = Image.fromarray(rng.integers(0, 65536, (24, 32), dtype=np.uint16))
        kinds = {
            "rgb.png": rgb,
            "rgb.jpg": rgb,
            "rgb.webp": rgb,
            "rgb.bmp": rgb,
            "rgb.gif": rgb,
            "rgb.tif": rgb,
            "deep.png": deep,
            "deep.tif": deep,
            "palette.png": rgb.convert("P"),
            "cmyk.jpg": rgb.convert("CMYK"),
        }
        files = {}
        for name, image in kinds.items():
            out = io.BytesIO()
            image.save(out, {"jpg": "jpeg", "tif": "tiff"}.get(name[-3:], name.rpartition(".")[2]))
            files[name] = out.getvalue()
        return files

    def read(self, path: Path) -> None:
        from samkit.media.pictures import read_picture

        read_picture(path)


class Masks(Kind):
    name = "masks"

    def make(self) -> dict[str, bytes]:
        import io

        from samkit.media.mask_files import mask_png
        from samkit.media.rle import mask_to_rle

        mask = np.zeros((24, 32), bool)
        mask[4:12, 8:20] = True
        files = {"mask.png": mask_png(mask), "mask.json": json.dumps(mask_to_rle(mask)).encode()}
        for name, array in {"mask.npy": mask, "logits.npy": np.where(mask, 4.0, -4.0).astype(np.float32)}.items():
            out = io.BytesIO()
            np.save(out, array)
            files[name] = out.getvalue()
        return files

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        return mutated_json(data.decode(), rng).encode() if name.endswith(".json") else mutated(data, rng)

    def read(self, path: Path) -> None:
        from samkit.media.given_masks import read_hint
        from samkit.work.sources import read_rle

        if path.suffix == ".json":
            read_rle(path.read_text(encoding="utf-8", errors="replace"))
        else:
            read_hint(path)


class Checkpoints(Kind):
    name = "checkpoints"

    def make(self) -> dict[str, bytes]:
        from tests.fuzz.hostile_checkpoints import valid_files

        files = {}
        with tempfile.TemporaryDirectory() as folder:
            for name, write in valid_files():
                write(Path(folder) / name)
                files[name] = (Path(folder) / name).read_bytes()
        return files

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        if name.endswith(".safetensors"):
            return mutated_safetensors(data, rng)
        place = data.find(b"collections")
        if rng.random() < 0.5 and place >= 0:
            # The pickle, which is where instructions are.
            end = place + 20_000
            return data[:place] + mutated(data[place:end], rng) + data[end:]
        return mutated(data, rng)

    def read(self, path: Path) -> None:
        from samkit.models.sam import load_model
        from samkit.prompts import Prompts

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load_model(path, device="cpu")
        rgb = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        encoding = model.encode_image(rgb, side=128)
        prompts = Prompts(points=[(0.5, 0.5, 1)])
        prediction = model.predict_masks(encoding, prompts)
        prediction.mask(prediction.best)
        if model.config.memory is not None:
            from samkit.models.memory_bank import MemoryBank

            bank = MemoryBank()
            bank.add_prompt(model.encode_memory(encoding, prediction))
            model.track(encoding, bank)


class Runs(Kind):
    name = "runs"

    def make(self) -> dict[str, bytes]:
        folder = Path(__file__).parents[1] / "data" / "schema_1"
        names = ("mask-stability-film-frame", "block-norms", "cross-image-on-b")
        return {f"{name}.zip": (folder / f"{name}.zip").read_bytes() for name in names}

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        return mutated_zip(data, rng)

    def read(self, path: Path) -> None:
        from samkit.work.kept_run import spec_of_bundle
        from samkit.work.replay import _kept_arrays, open_run

        with tempfile.TemporaryDirectory() as folder:
            bundle = open_run(str(path), Path(folder))
            inputs = bundle.inputs()
            bundle.masks()
            bundle.tables()
            _kept_arrays(bundle)
            spec_of_bundle(bundle, inputs)


class PromptFiles(Kind):
    name = "prompts"

    def make(self) -> dict[str, bytes]:
        return {
            "own.json": b'{"points": [[0.5, 0.25, 1], [0.1, 0.9, 0]], "boxes": [[0.1, 0.2, 0.6, 0.7]]}',
            "muggled.json": b'{"fg_points": [[0.5, 0.5]], "bg_points": [], "boxes": [[[0.1, 0.1], [0.9, 0.8]]]}',
        }

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        return mutated_json(data.decode(), rng).encode("utf-8", "replace")

    def read(self, path: Path) -> None:
        from samkit.prompts import Prompts

        Prompts.from_json(path.read_bytes())


class Films(Kind):
    name = "films"

    def make(self) -> dict[str, bytes]:
        from tests.media.films import moving_frames, write_film_file

        files = {}
        with tempfile.TemporaryDirectory() as folder:
            for container, suffix in (("mp4", "mp4"), ("avi", "avi"), ("matroska", "mkv"), ("mpegts", "ts")):
                path = Path(folder) / f"film.{suffix}"
                write_film_file(path, moving_frames(6, 32, 48), container=container)
                files[path.name] = path.read_bytes()
        return files

    def read(self, path: Path) -> None:
        from samkit.media.video import open_video

        film = open_video(path)
        try:
            film.frame(0)
            film.frame(film.length - 1)
        finally:
            close = getattr(film, "close", None)
            if close is not None:
                close()


KINDS: tuple[type[Kind], ...] = (
    Pictures,
    Masks,
    Checkpoints,
    ModelSettings,
    Banks,
    Runs,
    PromptFiles,
    Sweeps,
    Films,
)
