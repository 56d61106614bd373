"""The built label page in Chromium, with `keypoints label` as a user starts it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keypoints.data.sources import load_records
from keypoints.markup import IBUG68, Markup
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from keypoints.web.server import PAGE
from tests.faces import FOUND

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
# Of the 68: corners of the eyes, tip of the nose, corners of the mouth, its middle below, the chin.
NINE = [36, 39, 42, 45, 30, 48, 54, 57, 8]
MANY = 5000
EYES = np.array([[40, 30], [70, 35]])  # in the pictures with orientation tags
# Quarter turns and whether a flip comes first that make the stored picture of each tag.
TURNS = {1: (0, 0), 2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (1, 1), 6: (1, 0), 7: (3, 1), 8: (3, 0)}


def draw(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Drawn faces `NUMBER.png` and their points."""
    folder.mkdir()
    faces = {f"{number}.png": draw_face(seed) for number, seed in enumerate(FOUND[:count])}
    for name, (image, _) in faces.items():
        (folder / name).write_bytes(encode_png(image))
    return {name: points for name, (_, points) in faces.items()}


def nine_points(folder: Path) -> dict[str, np.ndarray]:
    """Five faces without labels, and what nine points of them are called; returns the points."""
    points = draw(folder, 5)
    assert IBUG68.mean is not None
    markup = Markup("nine", tuple("abcdefghi"), pairs=((0, 3), (1, 2), (5, 6)))
    (folder / "markup.toml").write_text(replace(markup, mean=IBUG68.mean[NINE]).to_toml())
    return {name: own[NINE] for name, own in points.items()}


def many_pictures(folder: Path) -> None:
    """`MANY` pictures, eight of them with marks at `EYES` and orientation tags."""
    folder.mkdir()
    mean = "[[-0.2, -0.1], [0.2, -0.1], [0.0, 0.4]]"
    names = '["right eye", "left eye", "chin"]'
    roles = '[roles]\nright_eye = ["right eye"]\nleft_eye = ["left eye"]\n'
    (folder / "markup.toml").write_text(
        f'name = "three"\npoints = {names}\npairs = [[0, 1]]\nmean = {mean}\n\n{roles}'
    )
    upright = np.zeros((80, 110, 3), np.uint8)
    for x, y in EYES:
        upright[y - 2 : y + 3, x - 2 : x + 3, 0] = 255
    for tag, (quarters, flip) in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = tag
        stored = np.rot90(upright[:, ::-1] if flip else upright, quarters)
        path = folder / f"turned-{tag}.jpg"
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=95)
    (folder / "0000.png").write_bytes(encode_png(upright))
    for number in range(1, MANY - len(TURNS)):
        os.link(folder / "0000.png", folder / f"{number:04}.png")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(
    not (PAGE / "label.html").is_file() or not (ROOT / "web" / "node_modules").is_dir(),
    reason="the page is not built: `make web` needs Node.js 20.19 or newer",
)
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: `apt-get install chromium`")
def test_the_label_page_in_chromium(tmp_path):
    folders, home = tmp_path / "folders", tmp_path / "home"
    folders.mkdir()
    home.mkdir()
    draw(folders / "ibug68", 2)
    draw(folders / "new", 2)
    draw(folders / "few", 2)
    truth = nine_points(folders / "nine")
    # To tenths, which keys reach.
    exact = {name: np.round(points.astype(float), 1).tolist() for name, points in truth.items()}
    (folders / "truth.json").write_text(json.dumps(exact))
    many_pictures(folders / "many")
    values = {
        "FOLDERS": str(folders), "PYTHON": sys.executable, "CHROMIUM": CHROMIUM,
        "HOME": str(home), "NO_COLOR": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["npx", "vitest", "run", "tests/label.test.ts"], cwd=ROOT / "web",
        capture_output=True, text=True, env=os.environ | values,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    labelled = load_records(f"folder:{folders / 'nine'}", "all")
    assert sorted(labelled.files) == sorted(truth)
    for name, points in zip(labelled.files, labelled.points):
        assert np.abs(points - exact[name]).max() < 0.1
    # The marks are where the person sees them, whatever the orientation tag is.
    turned = load_records(f"folder:{folders / 'many'}", "all")
    found = {n: p for n, p in zip(turned.files, turned.points) if n.startswith("turned-")}
    assert len(found) == 8
    for points in found.values():
        assert np.abs(points[:2] - EYES).max() < 0.1
    assert len(load_records(f"folder:{folders / 'new'}", "all").markup.names) == 5
