"""All speed figures of this machine as one Markdown table, with the machine's own facts above it.

    python -m benchmarks.table --out speed.md                       # half an hour on two cores
    python -m benchmarks.table --out speed.md --models tiny --rounds 3 --skip start

Runs `benchmarks.encode`, `benchmarks.limits`, `benchmarks.video` and `benchmarks.start`, each in a process of its own.
The machine should be idle.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.contestants import MODELS

FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile")
PARTS = ("encode", "sides", "limits", "video", "objects", "start")
SIDES = (256, 512, 1024, 1536, 2048)


def machine() -> str:
    """The processor, its instruction sets that matter here, and the versions that were run."""
    facts = dict(
        line.split(":", 1)
        for line in Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        if ":" in line
    )
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    own = set(facts.get("flags", "").split())
    return (
        f"{facts.get('model name', 'a processor without a name')}, {' '.join(flag for flag in FLAGS if flag in own)}; "
        f"torch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads."
    )


def run(module: str, *arguments: str) -> str:
    """What a benchmark prints; what it says of its progress goes to stderr."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    print(" ".join(command[1:]), file=sys.stderr, flush=True)
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def encode_rows(models: list[str], rounds: int, *more: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        run("encode", "--models", *models, "--rounds", str(rounds), "--json", str(path), *more)
        return json.loads(path.read_text())


def heading(first: str = "model") -> list[str]:
    return [
        f"| {first} | step | package | ms | ratio of time | peak MB | ratio of peak |",
        "|---|---|---|---|---|---|---|",
    ]


def as_lines(rows: list[dict]) -> list[str]:
    lines = []
    for row in rows:
        peak = "" if row["peak_ratio"] != row["peak_ratio"] else f"{row['peak_ratio']:.2f}"
        lines.append(
            f"| {row['model']} | {row['step']} | {row['package']} | {row['ms']:,.0f} | {row['ratio']:.2f} | "
            f"{row['peak_mb']:.0f} | {peak} |"
        )
    return lines


def beside(models: list[str], rounds: int) -> Iterator[list[str]]:
    yield ["", "## Beside the official packages, 1024 px, float32", *heading()]
    for model in models:
        yield as_lines(encode_rows([model], rounds))


def by_side(model: str, rounds: int) -> Iterator[list[str]]:
    """The encoder alone, at every side."""
    yield ["", f"## {model} at other sides", *heading("side")]
    for side in SIDES:
        rows = encode_rows([model], rounds, "--side", str(side), "--against", "samkit", "official")
        yield as_lines([row | {"model": f"{side} px"} for row in rows if row["step"] == "encode"])


def printed(title: str, module: str, *arguments: str) -> Iterator[list[str]]:
    yield ["", f"## {title}", "```", run(module, *arguments).strip(), "```"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=["vit_b", "mobile_sam", "tiny", "small", "base_plus", "large"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip", nargs="*", choices=PARTS, default=[])
    options = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    rounds = options.rounds
    # At 2048 px the official ViT-B would hold more than 12 GB of scores.
    by_sides = "tiny" if "tiny" in options.models else options.models[0]
    parts = {
        "encode": beside(options.models, rounds),
        "sides": by_side(by_sides, min(rounds, 3)),
        "limits": printed("The machine's limit", "limits", "--models", *options.models),
        "video": printed("A film's frame", "video", "speed"),
        "objects": printed("A film's frame with more objects", "video", "objects"),
        "start": printed("Starting", "start", "--rounds", str(rounds)),
    }
    lines = ["# Speed", machine(), "Ratios are to the official package of the same row's model and step."]
    for name, pieces in parts.items():
        if name in options.skip:
            continue
        for piece in pieces:
            lines += piece
            # Whoever stops it halfway keeps what was measured.
            options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
