"""How near an encoder comes to what this machine can multiply: its matrix products, one by one, beside the machine's
limit, and what all else takes.

    python -m benchmarks.limits --models tiny vit_b
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python -m benchmarks.limits

The limit is the best of torch's `linear` (MKL or oneDNN, as torch was built) and oneDNN's packed one over three large
shapes. "Alone" times every product of the encoder by itself, on inputs of its own, by the faster of the two: what an
encoder without anything between its products would take. Best of all rounds; two minutes for tiny on an idle machine.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

import samkit
from benchmarks.contestants import MODELS, NATIVE_SIDES, save_weights
from samkit.models.network.linear import can_pack, pack_weight, packed_gelu, packed_product

LARGE = [(4096, 4096, 4096), (4096, 1024, 4096), (16384, 1024, 1024)]
"""(rows, in, out) of products that are as fast as any."""
Shape = tuple[str, tuple[int, ...]]


def best_s(run: Callable[[], object], rounds: int) -> float:
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def linear_s(rows: int, width: int, out: int, rounds: int) -> dict[str, float]:
    """Seconds of x [rows, width] times a weight [out, width], by each way there is."""
    x, weight, bias = torch.randn(rows, width), torch.randn(out, width), torch.randn(out)
    ways = {"linear": best_s(lambda: F.linear(x, weight, bias), rounds)}
    if can_pack(torch.float32):
        packed = pack_weight(weight, min(rows, 4096))
        ways["packed"] = best_s(lambda: packed_product(x, packed, bias), rounds)
    return ways


def machine_limit(rounds: int) -> dict[str, float]:
    """Multiplications and additions a second, in 10^9, by each way."""
    rates: dict[str, float] = {}
    for shape in LARGE:
        for way, seconds in linear_s(*shape, rounds).items():
            rates[way] = max(rates.get(way, 0.0), 2 * prod(shape) / seconds / 1e9)
    return rates


def gelu_ms(rounds: int) -> dict[str, float]:
    """Milliseconds of a feed forward layer's first product, and with GELU in oneDNN or after it."""
    x, weight, bias = torch.randn(4096, 384), torch.randn(1536, 384), torch.randn(1536)
    packed = pack_weight(weight, 4096)
    ways: dict[str, Callable[[], object]] = {
        "without": lambda: packed_product(x, packed, bias),
        "in oneDNN": lambda: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "gelu", [], "none"),
        "after it": lambda: torch.ops.aten.gelu_(packed_product(x, packed, bias)),
        "as samkit does": lambda: packed_gelu(x, packed, bias),
    }
    return {way: 1000 * best_s(run, 3 * rounds) for way, run in ways.items()}


def products_of(run: Callable[[], object]) -> Counter[Shape]:
    """The matrix products that `run` makes: ("linear", (rows, in, out)) and ("attention", (batch, queries, keys,
    width)), with how often.
    """
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        run()
    found: Counter[Shape] = Counter()
    for event in profiled.key_averages(group_by_input_shape=True):
        shapes = [shape for shape in event.input_shapes if shape]
        if event.key == "mkldnn::_linear_pointwise":
            weight = next(shape for shape in shapes[1:] if len(shape) == 2 and shape[1] == shapes[0][-1])
            found["linear", (prod(shapes[0][:-1]), weight[1], weight[0])] += event.count
        elif event.key in ("aten::mm", "aten::addmm"):
            left, right = shapes[-2:]
            found["linear", (left[0], left[1], right[1])] += event.count
        elif event.key.startswith("aten::_scaled_dot_product"):
            (*batch, queries, width), keys = shapes[0], shapes[1][-2]
            found["attention", (prod(batch), queries, keys, width)] += event.count
        elif event.key in ("aten::bmm", "aten::baddbmm"):
            left, right = shapes[-2:]
            found["products", (left[0], left[1], left[2], right[2])] += event.count
    return found


def work_of(shape: Shape) -> int:
    """Multiplications and additions of one such product."""
    kind, sizes = shape
    return (4 if kind == "attention" else 2) * prod(sizes)


def alone_s(shape: Shape, rounds: int) -> float:
    kind, sizes = shape
    if kind == "linear":
        return min(linear_s(*sizes, rounds).values())
    batch, rows, between, out = sizes
    if kind == "attention":
        q, k, v = (
            torch.randn(1, batch, rows, out),
            torch.randn(1, batch, between, out),
            torch.randn(1, batch, between, out),
        )
        return best_s(lambda: F.scaled_dot_product_attention(q, k, v), rounds)
    left, right = torch.randn(batch, rows, between), torch.randn(batch, between, out)
    return best_s(lambda: torch.bmm(left, right), rounds)


def report(model: str, limit: float, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        encoder = samkit.load_model(save_weights(model, Path(folder)), device="cpu")
        side = NATIVE_SIDES.get(model, 1024)
        rgb = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        whole = best_s(lambda: encoder.encode_image(rgb), rounds)
        products = products_of(lambda: encoder.encode_image(rgb))
    work = sum(count * work_of(shape) for shape, count in products.items()) / 1e9
    alone = {shape: alone_s(shape, rounds) for shape in products}
    together = sum(count * alone[shape] for shape, count in products.items())
    print(
        f"\n{model}: {1000 * whole:,.0f} ms for {work:,.0f} GFLOP in products: {work / whole / limit:.0%} of the "
        f"limit. Its products alone: {1000 * together:,.0f} ms, {together / whole:.0%} of its time."
    )
    print(f"{'product':10} {'sizes':26} {'count':>5} {'ms in all':>9} {'GFLOP/s':>8} {'of the limit':>12}")
    for shape, count in sorted(products.items(), key=lambda item: -item[1] * alone[item[0]])[:14]:
        rate = work_of(shape) / alone[shape] / 1e9
        sizes = " x ".join(map(str, shape[1]))
        print(
            f"{shape[0]:10} {sizes:26} {count:5} {1000 * count * alone[shape]:9.1f} {rate:8.0f} {rate / limit:12.0%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="+", choices=[name for name in MODELS if MODELS[name] != "sam3"], default=["tiny"]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        rates = machine_limit(options.rounds)
        limits = ", ".join(f"{way} {rate:.0f}" for way, rate in rates.items())
        print(f"{options.threads} threads, {torch.backends.cpu.get_cpu_capability()}; the limit in GFLOP/s: {limits}")
        if can_pack(torch.float32):
            ways = ", ".join(f"{way} {ms:.1f}" for way, ms in gelu_ms(options.rounds).items())
            print(f"4096 x 384 x 1536 with GELU, ms: {ways}")
        for model in options.models:
            report(model, max(rates.values()), options.rounds)


if __name__ == "__main__":
    main()
