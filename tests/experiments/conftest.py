"""Counts what a model does, so that a test can say that nothing was done again."""

from collections import Counter

import pytest

from samkit.models.sam import SamModel

STEPS = ("encode_image", "predict_masks", "track", "encode_memory", "position_encoding")


class ModelCalls(Counter):
    """How often each of the model's steps ran since the last look."""

    def taken(self) -> dict[str, int]:
        """The counts, which begin anew at 0."""
        counts = dict(self)
        self.clear()
        return counts


@pytest.fixture
def calls(monkeypatch) -> ModelCalls:
    """Counts the steps of all models while a test runs."""
    counted = ModelCalls()

    def counting(name: str, step):
        def counted_step(*arguments, **options):
            counted[name] += 1
            return step(*arguments, **options)

        return counted_step

    for name in STEPS:
        monkeypatch.setattr(SamModel, name, counting(name, getattr(SamModel, name)))
    return counted
