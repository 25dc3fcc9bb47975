"""What goes wrong inside a page is a sentence on it."""

import pytest
from streamlit.testing.v1 import AppTest


def page(kind: str) -> None:
    from samkit.errors import BadInput
    from samkit.ui.parts.edge import sentences

    def nested() -> None:
        nested()

    with sentences():
        if kind == "torch":
            import torch

            torch.empty(1 << 50)
        if kind == "memory":
            raise MemoryError
        if kind == "nested":
            nested()
        if kind == "other":
            raise ZeroDivisionError
        raise BadInput("This is a sentence.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("torch", "ran out of memory"),
        ("memory", "ran out of memory"),
        ("nested", "nested too deeply"),
        ("other", "ZeroDivisionError"),
        ("bad input", "This is a sentence."),
    ],
)
def test_each_error_is_one_sentence(kind, words):
    app = AppTest.from_function(page, args=(kind,)).run()
    assert not app.exception
    (shown,) = app.error
    assert words in shown.value
