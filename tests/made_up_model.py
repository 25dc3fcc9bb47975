"""What a kept run says of its model, for tests that keep runs and load none."""

from types import SimpleNamespace


def made_up_info(name: str = "made-up", sha256: str = "ab" * 32) -> SimpleNamespace:
    """Stands for a `ModelInfo`."""
    return SimpleNamespace(
        name=name, family="sam2", version="2.1", sha256=sha256, file_sha256=sha256, changes=(), settings={}
    )
