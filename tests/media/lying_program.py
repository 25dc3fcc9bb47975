"""Stands for a program that decodes films and was taken over by one: whatever it is asked, it answers with the content
of the file that it was started for.
"""

import sys
from pathlib import Path

content = Path(sys.argv[1]).read_bytes()
for _ in sys.stdin.buffer:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
    if not content.endswith(b"\n"):
        break
