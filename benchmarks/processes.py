"""Call a function in a new Python process: for other devices, or a memory of its own."""

import json
from typing import Any

from keypoints.system.processes import run_python


def call_python(function: str, *arguments: str, failure: str, **environment: str) -> Any:
    """What `function`, `MODULE.NAME`, returns for `arguments` in a process as of `run_python`.

    It is passed as JSON, after whatever else the process prints.
    """
    code = (
        "import sys, json, importlib; module, _, name = sys.argv[1].rpartition('.'); "
        "function = getattr(importlib.import_module(module), name); "
        "print('\\n' + json.dumps(function(*sys.argv[2:])))"
    )
    printed = run_python(code, function, *arguments, failure=failure, timeout=None, **environment)
    return json.loads(printed.splitlines()[-1])
