"""A process that crashes leaves no text: no dump of its memory, and no words of what was raised."""

from __future__ import annotations

import subprocess
import sys

CRASHES = """
import logging, resource, threading
from tunesmith.api.crashes import leave_no_text
from tunesmith.api.logs import start_log
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
start_log("text")
leave_no_text()
def crash():
    raise ValueError("canary")
thread = threading.Thread(target=crash, name="lane")
thread.start()
thread.join()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_crash_leaves_no_text() -> None:
    done = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0)"
    assert "lane fault=ValueError at" in done.stderr
    assert "canary" not in done.stderr
