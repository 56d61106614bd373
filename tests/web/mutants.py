"""Wrong changes to the page's code: `python -m tests.web.mutants [OPTION ..]`.

The options are those of web/tests/mutants.mjs, which this starts with what the Python code answers.
Exit code 1: too few changes are noticed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.web.vectors import write_vectors

SCRIPT = Path(__file__).parents[2] / "web" / "tests" / "mutants.mjs"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_vectors(Path(folder))
        variables = {**os.environ, "VECTORS": folder, "NO_COLOR": "1"}
        sys.exit(subprocess.call(["node", str(SCRIPT), *sys.argv[1:]], env=variables))
