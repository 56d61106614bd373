"""The Dockerfiles, read without Docker: what they copy exists, what they install is an extra."""

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FILES = ("Dockerfile", "Dockerfile.cuda")
KNOWN = {"ARG", "FROM", "RUN", "ENV", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}


def instructions(name: str) -> list[tuple[str, str]]:
    """Instructions with their arguments; lines that go on are joined, comments left out."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(first, rest) for first, rest in pairs]


def kept(path: str) -> bool:
    """Whether .dockerignore leaves a file in: the last line that fits it, or a folder of it."""
    inside = True
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in line
        fits = any(
            fnmatch(part.rpartition("/")[2] if anywhere else part, pattern)
            and part.count("/") >= (0 if anywhere else pattern.count("/"))
            for part in above
        )
        if fits:
            inside = line.startswith("!")
    return inside


@pytest.mark.parametrize("name", FILES)
def test_a_normal_user_runs_the_command(name):
    steps = instructions(name)
    assert {step for step, _ in steps} <= KNOWN
    users = [rest for step, rest in steps if step == "USER"]
    assert users == ["keypoints"]
    assert ("RUN", "useradd --create-home --uid 1000 keypoints") in steps
    last = [step for step, _ in steps].index("USER")
    assert not {"RUN", "COPY"} & {step for step, _ in steps[last:]}
    assert dict(steps)["ENTRYPOINT"] == '["keypoints"]'


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_exists_and_is_not_ignored(name):
    copied = [rest.split()[:-1] for step, rest in instructions(name) if step == "COPY"]
    sources = [source for one in copied for source in one]
    assert {"pyproject.toml", "keypoints"} <= set(sources)
    assert all((ROOT / source).exists() and kept(source) for source in sources)


@pytest.mark.parametrize("name", FILES)
def test_what_is_installed_are_extras(name):
    arguments = dict(rest.split("=", 1) for step, rest in instructions(name) if step == "ARG")
    named = set(arguments["EXTRAS"].split(","))
    assert "scale" in named <= set(EXTRAS)
    assert ("cuda" in named) == (name == "Dockerfile.cuda")
    assert 'pip install --no-cache-dir "/source[${EXTRAS}]"' in str(instructions(name))


def test_what_stays_out_of_the_images():
    assert kept("keypoints/config.py") and kept("keypoints/pretrained/small/model-int8.onnx")
    for path in (
        ".git/config",
        ".venv/bin/python",
        "runs/demo/config.json",
        "tests/test_config.py",
        "keypoints/data/__pycache__/records.cpython-311.pyc",
        "experiments/reports/wild-aflw/ced.png",
        "experiments/LOG.md",
    ):
        assert not kept(path), path


@pytest.mark.parametrize("name", FILES)
def test_the_wheel_is_built_from_all_that_it_holds(name):
    """Experiments too, which lie outside of the package, and weights to train on."""
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = [*hatch["targets"]["wheel"]["force-include"]]
    weights = [f"keypoints/pretrained/{m}/weights/best.weights.h5" for m in ("resnet50", "small")]
    copied = [rest.split()[:-1] for step, rest in instructions(name) if step == "COPY"]
    tops = {source for one in copied for source in one}
    for path in [*included, *weights]:
        assert path.partition("/")[0] in tops and (ROOT / path).is_file() and kept(path), path
