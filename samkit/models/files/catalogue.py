"""The checkpoints samkit knows by name: the embedded ones, the eleven official files, MobileSAM's, and those of SAM 3,
which nobody may pass on and a person brings. Knows no torch and touches no network.
"""

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from samkit.errors import CheckpointError
from samkit.models.files.checkpoint_file import CheckpointFile, inspect_checkpoint_file
from samkit.models.files.folders import (
    CHECKPOINT_SUFFIXES,
    assets_folder,
    extra_models_folders,
    models_folder,
    own_checkpoints,
)
from samkit.models.files.hashes import FileState, file_sha256, file_state
from samkit.models.files.locate import holds_checkpoint
from samkit.models.files.reference import split_reference
from samkit.words import format_bytes

State = Literal["embedded", "on disk", "partial", "absent", "to bring"]
Family = Literal["sam1", "sam2", "sam3"]

_OFFICIAL_URL = "https://dl.fbaipublicfiles.com/"


@dataclass(frozen=True)
class CatalogueEntry:
    """One checkpoint that can be asked for by name."""

    name: str
    """The file's stem: "sam2.1_hiera_tiny"."""
    title: str
    """What people call it: "SAM 2.1 Hiera tiny"."""
    family: Family
    version: str
    """One of "1", "2.0", "2.1", "3.0" and "3.1"."""
    filename: str
    file_bytes: int
    """0 where nobody states it."""
    sha256: str
    """Empty where nobody states it: such a file is known by its name alone."""
    licence: str
    url: str | None = None
    """None for a model that can't be downloaded by samkit."""
    aliases: tuple[str, ...] = ()
    embedded: bool = False
    origin: str = ""
    """A sentence on where a person gets a file that samkit doesn't download."""
    tracker: bool = True
    """Whether a file of SAM v2 or SAM 3 can follow objects here."""

    @property
    def brought(self) -> bool:
        """Whether a person brings the file."""
        return bool(self.origin)

    @property
    def follows(self) -> bool:
        """Whether it follows objects through films."""
        return self.family != "sam1" and self.tracker

    @property
    def size_text(self) -> str:
        """How large the file is; empty where nobody knows yet."""
        size = self.file_bytes or _size(self.local_path()) or 0
        return format_bytes(size) if size else ""

    def local_path(self, folder: Path | str | None = None) -> Path:
        """Where the file lies, or will lie once it is in `folder` (default: `models_folder()`)."""
        if self.embedded:
            return assets_folder() / self.filename
        return (Path(folder) if folder is not None else models_folder()) / self.filename

    def part_path(self, folder: Path | str | None = None) -> Path:
        """Where an unfinished download is kept, to be continued."""
        path = self.local_path(folder)
        return path.with_name(path.name + ".part")

    def state(self, folder: Path | str | None = None) -> State:
        """The state of the file; "partial" is an unfinished download, or a file of the right name and the wrong size.
        Contents are not hashed.
        """
        if self.embedded:
            return "embedded"
        present = _size(self.local_path(folder))
        if self.brought:
            return "to bring" if present is None else "on disk"
        if present == self.file_bytes:
            return "on disk"
        return "absent" if present is None and not _size(self.part_path(folder)) else "partial"

    @property
    def on_disk(self) -> bool:
        """Whether the model can be loaded without a download."""
        return self.state() in ("embedded", "on disk")


def catalogue() -> tuple[CatalogueEntry, ...]:
    """The embedded models, by name, then the official ones: 2.1, 2.0 and 1, small to large; then MobileSAM and those
    that a person brings.
    """
    embedded = (_embedded_entry(path) for path in sorted(assets_folder().glob("*.safetensors")))
    return (*embedded, *_OFFICIAL, _MOBILE_SAM, *_BROUGHT)


def find_entry(name: str) -> CatalogueEntry:
    """The entry of that name or alias; case, and `-` for `_`, make no difference.

    Raises CheckpointError with the nearest names when there is none.
    """
    entries = catalogue()
    spellings = {_fold(spelling): entry for entry in entries for spelling in (entry.name, *entry.aliases)}
    if entry := spellings.get(_fold(name)):
        return entry
    near = dict.fromkeys(
        spellings[match].name for match in difflib.get_close_matches(_fold(name), spellings, n=6, cutoff=0.5)
    )
    advice = (
        f"did you mean {' or '.join(list(near)[:3])}?"
        if near
        else f"the catalogue has {', '.join(entry.name for entry in entries)}."
    )
    raise CheckpointError(f'There is no model "{name}": {advice}')


def resolve_model(ref: str | Path) -> Path:
    """The checkpoint file that `ref` stands for: a catalogue name or alias, the path of a file, or the name of a file
    in a folder of own checkpoints.

    Whatever ends in .safetensors, .pt or .pth or has a folder in it is a path. The file is not opened.
    Raises CheckpointError: unknown name, missing file, a catalogue model that is not, or only partly, downloaded (with
    the command that fetches it).
    """
    text, _ = split_reference(ref)
    path = Path(text).expanduser()
    if isinstance(ref, Path) or path.suffix.lower() in CHECKPOINT_SUFFIXES or "/" in text or "\\" in text:
        return _own_file(path)
    try:
        entry = find_entry(text)
    except CheckpointError:
        if path.is_file() or (path.is_dir() and holds_checkpoint(path)):
            return path
        for own in own_checkpoints() if extra_models_folders() else ():
            if text in (own.name, own.stem):
                return own
        raise
    return _local_file(entry)


def _own_file(path: Path) -> Path:
    if path.exists():
        return path
    if len(path.parts) == 1:
        for own in own_checkpoints() if extra_models_folders() else ():
            if own.name == path.name:
                return own
    raise CheckpointError(
        f"There is no file {path}: check the path, or use a name that `python -m samkit models list` shows."
    )


def _local_file(entry: CatalogueEntry) -> Path:
    path = entry.local_path()
    command = f"`python -m samkit models download {entry.name}`"
    size = format_bytes(entry.file_bytes)
    match entry.state():
        case "to bring":
            for own in own_checkpoints() if extra_models_folders() else ():
                if own.name == entry.filename or own.stem == entry.name:
                    return own
            raise CheckpointError(
                f"{entry.title} is not on this machine. {entry.origin} Put {entry.filename} into {path.parent}, or "
                "give its path."
            )
        case "absent":
            raise CheckpointError(f"{entry.title} is not on this machine yet: run {command} ({size}).")
        case "partial" if (present := _size(path)) is not None:
            raise CheckpointError(
                f"{path} has {present} bytes where the official file has {entry.file_bytes}: run {command} to "
                "fetch it again, or give it another name."
            )
        case "partial":
            raise CheckpointError(
                f"{entry.title} is only partly downloaded: run {command} to fetch the rest of its {size}."
            )
    return path


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _fold(name: str) -> str:
    return name.strip().lower().replace("-", "_")


@lru_cache(16)
def _head(path: Path, state: FileState) -> CheckpointFile:
    """Pages ask for the catalogue several times in each of their runs. state: a file that changes is read again"""
    return inspect_checkpoint_file(path)


def _embedded_entry(path: Path) -> CatalogueEntry:
    file = _head(path, file_state(path)) if path.is_file() else inspect_checkpoint_file(path)
    try:
        family, version = file.metadata["family"], file.metadata["version"]
    except KeyError as error:
        raise CheckpointError(
            f"The embedded model {path.name} does not state its {error.args[0]} in its metadata: install samkit again."
        ) from error
    return CatalogueEntry(
        name=path.stem,
        title=file.metadata.get("title", path.stem),
        family=family,
        version=version,
        filename=path.name,
        file_bytes=file.file_bytes,
        sha256=file_sha256(path),
        licence=_licence_on_card(path.with_suffix(".md")),
        embedded=True,
    )


def _licence_on_card(card: Path) -> str:
    """The first paragraph under the heading "Licence" (or "License") of a model card, as one line."""
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    paragraph = re.search(
        r"^#+[ \t]*licen[cs]e[^\n]*\n\s*(.+?)(?:\n\s*\n|\n#|\Z)", text, re.IGNORECASE | re.MULTILINE | re.DOTALL
    )
    return " ".join(paragraph.group(1).split()) if paragraph else "not stated"


# By the beginning of the file name: family, version and folder on the official server.
_OFFICIAL_ORIGINS: dict[str, tuple[Family, str, str]] = {
    "sam2.1_": ("sam2", "2.1", "segment_anything_2/092824"),
    "sam2_": ("sam2", "2.0", "segment_anything_2/072824"),
    "sam_vit_": ("sam1", "1", "segment_anything"),
}


def _official(filename: str, title: str, file_bytes: int, sha256: str) -> CatalogueEntry:
    family, version, url_folder = next(
        origin for beginning, origin in _OFFICIAL_ORIGINS.items() if filename.startswith(beginning)
    )
    name = filename.rpartition(".")[0]
    aliases: tuple[str, ...]
    if family == "sam1":
        without_hash = name.rpartition("_")[0]
        aliases = (without_hash, without_hash.removeprefix("sam_"))
    else:
        short = name.replace("_hiera", "")
        aliases = (short, *(alias.replace("_plus", "+") for alias in (name, short) if alias.endswith("_plus")))
    return CatalogueEntry(
        name=name,
        title=title,
        family=family,
        version=version,
        filename=filename,
        file_bytes=file_bytes,
        sha256=sha256,
        licence="Apache-2.0",
        url=f"{_OFFICIAL_URL}{url_folder}/{filename}",
        aliases=aliases,
    )


_OFFICIAL = (
    _official(
        "sam2.1_hiera_tiny.pt",
        "SAM 2.1 Hiera tiny",
        156008466,
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
    ),
    _official(
        "sam2.1_hiera_small.pt",
        "SAM 2.1 Hiera small",
        184416285,
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    ),
    _official(
        "sam2.1_hiera_base_plus.pt",
        "SAM 2.1 Hiera base+",
        323606802,
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
    ),
    _official(
        "sam2.1_hiera_large.pt",
        "SAM 2.1 Hiera large",
        898083611,
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
    ),
    _official(
        "sam2_hiera_tiny.pt",
        "SAM 2 Hiera tiny",
        155906050,
        "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
    ),
    _official(
        "sam2_hiera_small.pt",
        "SAM 2 Hiera small",
        184309650,
        "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
    ),
    _official(
        "sam2_hiera_base_plus.pt",
        "SAM 2 Hiera base+",
        323493298,
        "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
    ),
    _official(
        "sam2_hiera_large.pt",
        "SAM 2 Hiera large",
        897952466,
        "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
    ),
    _official(
        "sam_vit_b_01ec64.pth",
        "SAM ViT-B",
        375042383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _official(
        "sam_vit_l_0b3195.pth",
        "SAM ViT-L",
        1249524607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _official(
        "sam_vit_h_4b8939.pth",
        "SAM ViT-H",
        2564550879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
)

# Its authors publish no hash. Size and hash are those that users of the file have pinned, all of them the same: among
# others the copies at huggingface.co/dhkim2810/MobileSAM, of one of its authors, and a dozen programs on GitHub.
_MOBILE_SAM = CatalogueEntry(
    name="mobile_sam",
    title="MobileSAM",
    family="sam1",
    version="1",
    filename="mobile_sam.pt",
    file_bytes=40728226,
    sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    licence="Apache-2.0",
    url="https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/"
    "mobile_sam.pt",
    aliases=("mobilesam", "vit_t", "sam_vit_t"),
)


def _sam3(name: str, title: str, filename: str, tracker: bool) -> CatalogueEntry:
    """A model of SAM 3, which a person brings."""
    stem = filename.rpartition(".")[0]
    return CatalogueEntry(
        name=name,
        title=title,
        family="sam3",
        version=name.removeprefix("sam") if "." in name else "3.0",
        filename=filename,
        file_bytes=0,
        sha256="",
        licence="SAM License (Meta)",
        aliases=() if stem == name else (stem,),
        origin=f"samkit doesn't download it: ask Meta for access, at ai.meta.com or at huggingface.co/facebook/{name}, "
        "and read the terms of the licence there.",
        tracker=tracker,
    )


_BROUGHT = (
    _sam3("sam3", "SAM 3", "sam3.pt", tracker=True),
    _sam3("sam3.1", "SAM 3.1, pictures only", "sam3.1_multiplex.pt", tracker=False),
)
