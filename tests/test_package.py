"""What `import samkit` promises: names at hand, nothing heavy loaded."""

import subprocess
import sys

import pytest

import samkit


def test_every_public_name_is_there():
    for name in samkit.__all__:
        assert getattr(samkit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        samkit.nothing  # noqa: B018


def test_importing_samkit_loads_nothing_heavy():
    code = "import sys, samkit; print(sorted({'torch', 'mlflow', 'streamlit', 'numpy', 'cv2'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
