"""The result of a benchmark: a table on the terminal, and all of it as JSON."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from keypoints.config import Config, field_names


def report(subject: str, rows: list, config: Config, *, settings: str, json: Path | None) -> None:
    """Print the settings, the machine and one line for each row; write all to the file `json`."""
    from benchmarks.timings import environment

    facts = environment()
    print(f"{subject}: {settings}")
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    print(f"{facts['machine']}, load {facts['load']}; backend {facts['backend']}; {packages}")
    width = max(len(row.name) for row in rows)
    for row in rows:
        if row.samples:
            figures = f"{row.median:9.1f} {row.unit}  ({row.low:.1f} to {row.high:.1f})"
            ratio = f"  {row.ratio:.2f}x" if math.isfinite(row.ratio) else ""
            print(f"{row.name:<{width}} {figures}{ratio}{'  ' * bool(row.note)}{row.note}")
        else:
            print(f"{row.name:<{width}}   skipped: {row.note}")
    if json is not None:
        write(json, subject, rows, facts, config)


def write(path: Path, subject: str, rows: list, facts: dict[str, Any], config: Config) -> None:
    """Write everything as JSON; NaN becomes null."""
    from keypoints.system.atomic import write_text

    lines = [
        {name: None if value != value else value for name, value in dataclasses.asdict(row).items()}
        for row in rows
    ]
    result = {
        "subject": subject,
        "config": {name: getattr(config, name) for name in field_names()},
        "environment": facts,
        "rows": lines,
    }
    write_text(path, json.dumps(result, indent=2) + "\n")
