"""How much memory the app holds, for pages whose work takes long."""

from pathlib import Path

from samkit.words import format_bytes


def process_memory_line(device: str) -> str:
    """RAM of the server's process, where the system tells it, and of the GPU where `device` is one."""
    parts = []
    status = Path("/proc/self/status")
    if status.is_file():
        resident = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        parts.append(f"RAM {format_bytes(1024 * resident)}")
    if device.startswith("cuda"):
        import torch

        parts.append(f"VRAM {format_bytes(torch.cuda.memory_allocated())}")
    return " · ".join(parts)
