"""Small changes to valid files, all of them following from a seed."""

import hashlib
import io
import json
import random
import re
import struct
import zipfile
from typing import Any

_NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_LAYOUTS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")
_TEXTS = (
    "1e309",
    "-1",
    "0",
    "NaN",
    "9" * 5000,
    "1" + "0" * 18,
    "null",
    "true",
    '"../../x"',
    '"\\u0000"',
    "[]",
    "{}",
    "[" * 3000,
    '"' + "x" * 3000 + '"',
)
_TOKEN = re.compile(r'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:[^"\\]|\\.)*"|true|false|null')


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to six changes: bits, bytes, numbers that mean sizes, pieces that are cut out, doubled, or moved."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        # Heads and tails of files say more than their middles.
        place = rng.choice((rng.randrange(len(changed) + 1), rng.randrange(min(512, len(changed)) + 1)))
        if rng.random() < 0.2:
            place = max(0, len(changed) - rng.randrange(256))
        match rng.randrange(6):
            case 0 if place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place : place + rng.randint(1, 16)] = rng.randbytes(rng.randint(1, 16))
            case 2:
                layout = rng.choice(_LAYOUTS)
                number = rng.choice(_NUMBERS) & ((1 << 8 * struct.calcsize(layout)) - 1)
                changed[place : place + struct.calcsize(layout)] = struct.pack(layout, number)
            case 3:
                del changed[place : place + rng.choice((1, 8, 64, 1024))]
            case 4:
                piece = changed[place : place + rng.choice((4, 32, 256))]
                other = rng.randrange(len(changed) + 1)
                changed[other:other] = piece * rng.choice((1, 1, 20))
            case 5 if rng.random() < 0.3:
                del changed[place:]
    return bytes(changed)


def mutated_json(text: str, rng: random.Random) -> str:
    """Some of its numbers, texts and words are others; sometimes its bytes are too."""
    tokens = list(_TOKEN.finditer(text))
    for match in sorted(rng.sample(tokens, min(len(tokens), rng.randint(1, 3))), key=lambda m: -m.start()):
        new = rng.choice((*_TEXTS, rng.choice(tokens)[0]))
        text = text[: match.start()] + new + text[match.end() :]
    if rng.random() < 0.2:
        text = mutated(text.encode(), rng).decode("utf-8", "replace")
    return text


_WORD = re.compile(r"[^\s,:\[\]{}]+")
_YAML = (
    "&a",
    "*a",
    "!!python/name:os.system",
    "!!binary aGk=",
    "? x",
    "- ",
    "{",
    "[",
    "|",
    ">",
    "%",
    "\t",
    "<<",
    "~",
    ".inf",
)


def mutated_yaml(text: str, rng: random.Random) -> str:
    """Some of its words are others; sometimes a line lies deeper, twice or elsewhere."""
    for match in sorted(rng.sample(list(_WORD.finditer(text)), rng.randint(1, 3)), key=lambda m: -m.start()):
        new = rng.choice((*_TEXTS, *_YAML, rng.choice(_WORD.findall(text))))
        text = text[: match.start()] + new + text[match.end() :]
    if rng.random() < 0.3:
        lines = text.split("\n")
        line = rng.choice(lines)
        lines.insert(rng.randrange(len(lines) + 1), " " * rng.choice((0, 1, 4, 3000)) + line)
        text = "\n".join(lines)
    if rng.random() < 0.2:
        text = mutated(text.encode(), rng).decode("utf-8", "replace")
    return text


def mutated_zip(data: bytes, rng: random.Random) -> bytes:
    """The zip's own bytes, or one of its members; the record of a run then says the member's new hash, so that whoever
    reads the run comes to read the member too.
    """
    if rng.random() < 0.25:
        return mutated(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([*members, "run.json", "run.json"])
    is_text = name.endswith(".json")
    members[name] = (
        mutated_json(members[name].decode(), rng).encode("utf-8", "replace")
        if is_text and rng.random() < 0.8
        else mutated(members[name], rng)
    )
    if name != "run.json":
        record: dict[str, Any] = json.loads(members["run.json"])
        content = members[name]
        record["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        members["run.json"] = json.dumps(record).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()


def mutated_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Its table of contents as text, with the right length in front; or its bytes."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.4:
        return mutated(data, rng)
    header = mutated_json(data[8 : 8 + length].decode(), rng).encode("utf-8", "replace")
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
