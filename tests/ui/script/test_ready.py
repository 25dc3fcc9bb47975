"""A server gets the pages' modules ready beside its first visitors."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SERVER = """
import asyncio, sys, threading
from samkit.ui.script.ready import ready_soon

async def serve():
    async with ready_soon(None):
        while any(thread.name == "ready soon" for thread in threading.enumerate()):
            await asyncio.sleep(0.05)
    print(*{"samkit.ui.home", "torch", "samkit.models.sam", "samkit.experiments.video_priors"} - set(sys.modules))

asyncio.run(serve())
"""


def test_what_pages_import_is_there_and_nothing_failed():
    ran = subprocess.run([sys.executable, "-c", SERVER], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0 and ran.stdout == "\n", ran.stdout
    assert "Traceback" not in ran.stderr, ran.stderr
