"""The built label page in Chromium, with `keypoints label` as a user starts it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from keypoints.web.server import PAGE
from tests.faces import FOUND

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@pytest.mark.slow
@pytest.mark.skipif(
    not (PAGE / "label.html").is_file() or not (ROOT / "web" / "node_modules").is_dir(),
    reason="the page is not built: `make web` needs Node.js 20.19 or newer",
)
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: `apt-get install chromium`")
def test_the_label_page_in_chromium(tmp_path):
    folder, home = tmp_path / "pictures", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    for number, seed in enumerate(FOUND[:5]):
        (folder / f"{number}.png").write_bytes(encode_png(draw_face(seed)[0]))
    command = [sys.executable, "-m", "tools.label", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            values = {
                "ADDRESS": server.stdout.readline().strip(), "SERVER": str(server.pid),
                "FOLDER": str(folder), "PICTURES": "5", "CHROMIUM": CHROMIUM,
                "HOME": str(home), "NO_COLOR": "1",
            }  # fmt: skip
            done = subprocess.run(
                ["npx", "vitest", "run", "tests/label.test.ts"], cwd=ROOT / "web",
                capture_output=True, text=True, env=os.environ | values,
            )  # fmt: skip
        finally:
            server.kill()
    assert done.returncode == 0, done.stdout + done.stderr
