"""How near SAM 3's blocks come to what this machine can multiply: one block with windows and one global block, of
samkit and of transformers, beside their matrix products and attention alone, all in turns in one process.

    python -m benchmarks.sam3_blocks --rounds 5
    python -m benchmarks.sam3_blocks --dtype bfloat16  # samkit's block and the products; transformers' stays float32

The products are timed both as torch's `linear` and as oneDNN's packed one, of which the faster counts. What all 32
blocks take is 28 times the one and 4 times the other. Best of all rounds, so run it on an idle machine; half a minute.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

# Declares the operators without which torchvision, which transformers imports, doesn't load.
import tests.parity.official  # noqa: F401
from samkit.models.network.linear import can_pack, pack_linears, pack_weight, packed_product
from samkit.models.network.rotary_vit import RotaryBlock, RotaryVit, RotaryVitConfig

GRID, CHANNELS, HEADS, WINDOW, HIDDEN = 72, 1024, 16, 24, 4736
TOKENS = GRID * GRID
WINDOWED, GLOBAL = 28, 4
"""Blocks of each kind."""
LINEARS = {
    "queries, keys, values": (CHANNELS, 3 * CHANNELS),
    "projection": (CHANNELS, CHANNELS),
    "feed forward 1": (CHANNELS, HIDDEN),
    "feed forward 2": (HIDDEN, CHANNELS),
}
CONFIG = RotaryVitConfig(
    channels=CHANNELS,
    depth=2,
    num_heads=HEADS,
    patch_size=14,
    table_grid=WINDOW,
    trained_window=WINDOW,
    window_sizes=(WINDOW,) * 4,
    global_blocks=(1,),
    hidden=HIDDEN,
)


def our_blocks(dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    trunk = RotaryVit(CONFIG).eval().to(dtype)
    pack_linears(trunk)
    tokens = torch.randn(1, GRID, GRID, CHANNELS).to(dtype)

    def run(block: RotaryBlock, window: int) -> Callable[[], object]:
        turns = trunk.turns(window, (GRID, GRID), "step")
        return lambda: block(tokens, window, turns, overwrite=True)

    return {"samkit, windows": run(trunk.blocks[0], WINDOW), "samkit, global": run(trunk.blocks[1], 0)}


def their_blocks() -> dict[str, Callable[[], object]]:
    from transformers.models.sam3.modeling_sam3 import Sam3ViTConfig, Sam3ViTModel

    config = Sam3ViTConfig(layer_norm_eps=1e-5, num_hidden_layers=2, global_attn_indexes=[1])
    config._attn_implementation = "sdpa"
    model = Sam3ViTModel(config).eval()
    tokens = torch.randn(1, GRID, GRID, CHANNELS)
    windowed, whole = model.layers
    return {"transformers, windows": lambda: windowed(tokens), "transformers, global": lambda: whole(tokens)}


def products(dtype: torch.dtype) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """(what runs, what each multiplies and adds): of one block's linear layers, and both kinds of attention."""
    runs: dict[str, Callable[[], object]] = {}
    work = {}
    for name, (into, out) in LINEARS.items():
        x, weight = torch.randn(TOKENS, into).to(dtype), torch.randn(out, into).to(dtype)
        work[name] = 2.0 * TOKENS * into * out
        runs[f"{name} linear"] = lambda x=x, weight=weight: F.linear(x, weight)
        if can_pack(dtype):
            packed = pack_weight(weight, TOKENS)
            runs[f"{name} packed"] = lambda x=x, packed=packed: packed_product(x, packed, None)
    for name, windows in (("attention, windows", (GRID // WINDOW) ** 2), ("attention, global", 1)):
        inside = TOKENS // windows
        vectors = [torch.randn(windows, HEADS, inside, CHANNELS // HEADS).to(dtype) for _ in range(3)]
        work[name] = 4.0 * TOKENS * inside * CHANNELS
        runs[f"{name} linear"] = lambda vectors=vectors: F.scaled_dot_product_attention(*vectors)
    return runs, work


def best_seconds(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Of each, the least time over all rounds, in which they take turns."""
    best = dict.fromkeys(runs, float("inf"))
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    dtype = getattr(torch, options.dtype)
    runs, work = products(dtype)
    best = best_seconds(our_blocks(dtype) | their_blocks() | runs, options.rounds)
    alone = {name: min(best.get(f"{name} {how}", float("inf")) for how in ("linear", "packed")) for name in work}
    for name, operations in work.items():
        print(f"{name:24} {1000 * alone[name]:7.0f} ms {operations / alone[name] / 1e9:6.0f} GFLOP/s")
    linears = sum(alone[name] for name in LINEARS)
    limits = {kind: linears + alone[f"attention, {kind}"] for kind in ("windows", "global")}
    limit = WINDOWED * limits["windows"] + GLOBAL * limits["global"]
    print(f"{'products alone':24} {limit:7.1f} s for all blocks")
    for who in ("samkit", "transformers"):
        taken = WINDOWED * best[f"{who}, windows"] + GLOBAL * best[f"{who}, global"]
        print(
            f"{who:24} {taken:7.1f} s, {limit / taken:.0%} of it products "
            f"({1000 * best[f'{who}, windows']:.0f} and {1000 * best[f'{who}, global']:.0f} ms a block)"
        )


if __name__ == "__main__":
    main()
