"""What a kill at a random moment leaves: nothing, what was there before, or all of the output.

The same for training is in training/test_loop.py.
"""

import json
import shutil
import sys

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from keypoints.bulk import tables
from keypoints.commands.cli import run_tool
from keypoints.config import Config
from keypoints.exports import writer
from keypoints.inference.exported import MANIFEST
from keypoints.markup import IBUG68
from keypoints.media.pictures import encode_png
from keypoints.models import runs
from keypoints.models.network import build_model
from keypoints.synthetic.drawing import draw_face
from tests import kills
from tests.faces import FOUND

FRAMES = 12


@pytest.mark.slow
def test_a_killed_filter_leaves_no_half_a_video(tmp_path):
    clip, target = tmp_path / "clip.mp4", tmp_path / "out.mp4"
    face = cv2.resize(cv2.imread(str(kills.ROOT / "docs" / "astronaut.jpg")), (256, 256))
    video = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"mp4v"), 25, (256, 256))
    for number in range(FRAMES):
        video.write(np.roll(face, number, axis=1))
    video.release()
    command = ("-m", "tools.filter", str(clip), "--filter=landmarks", f"--output={target}")
    command += ("--model=pretrained-small",)
    whole = kills.seconds(*command)
    assert count_frames(target) == FRAMES
    for number in range(kills.COUNT):
        before = b"what was there before" if number % 2 else None
        target.unlink()
        if before:
            target.write_bytes(before)
        kills.kill(*command, within=whole)
        if target.exists() and target.read_bytes() != before:
            assert count_frames(target) == FRAMES
        here(*command)
        assert count_frames(target) == FRAMES


@pytest.mark.slow
def test_a_killed_export_leaves_no_half_an_export(tmp_path):
    run, output = tmp_path / "run", tmp_path / "export"
    config = Config(backbone="tiny", resolution=56)
    runs.start_run(run, config, {})
    runs.write_weights(run / runs.BEST, build_model(config, IBUG68.mean * 160 + 111.5))
    formats = list(writer.FORMATS) if kills.COUNT > 1 else ["weights"]  # which takes no child
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from keypoints.exports import writer\n"
        "crops = np.zeros((2, 224, 224, 3), np.uint8)\n"
        "run, output, formats = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].split(',')\n"
        "writer.export(run, output, formats, calibration=crops)\n"
    )
    command = ("-c", code, str(run), str(output), ",".join(formats))
    whole = kills.seconds(*command)
    assert_whole(output, formats)
    for _ in range(kills.COUNT):
        kills.kill(*command, within=whole)
        if output.exists():
            assert_whole(output, formats)
    here(*command)
    assert_whole(output, formats)


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_annotation_goes_on_and_has_every_picture_once(tmp_path):
    """Its workers end with it; a run that follows at once does only what is missing."""
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for seed in FOUND[:12]:
        (folder / f"{seed}.png").write_bytes(encode_png(draw_face(seed)[0]))
    (folder / "damaged.png").write_bytes(b"no picture")
    command = ("-c", RUN, str(folder), f"--output={output}", "--model=pretrained-small")
    whole = kills.seconds(*command)
    expected = annotated(output)
    assert len(expected) == 12
    for number in range(kills.COUNT):
        if number % 3 == 0:  # else the last one goes on and is killed again
            shutil.rmtree(output)
        kills.kill(*command, within=whole)
        for part in output.glob("*/[!.]*.parquet"):  # under its final name; workers may still write
            pq.read_table(part)
        if number % 3 == 2 or number == kills.COUNT - 1:
            kills.seconds(*command)
            assert annotated(output) == expected


# A picture could not be read, so it ends with 1 where all is well.
RUN = """
import sys
from keypoints.commands.cli import run_tool
try:
    run_tool("annotate")
except SystemExit as end:
    sys.exit(end.code != 1)
"""


def annotated(output):
    """The faces and the number of pictures of an annotation, none of them twice."""
    pictures = tables.read_table(str(output), tables.PICTURES)["source"].to_pylist()
    faces = tables.read_table(str(output)).to_pylist()
    assert len(pictures) == len(set(pictures)) == 13
    found = {(row["source"], row["face"]): row["points"] for row in faces}
    assert len(found) == len(faces)
    return found


def here(*command):
    """Run a command of `kills.start` in this process, which has loaded all that it needs."""
    option, code, *arguments = command
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [code, *arguments])
        try:
            if option == "-m":
                run_tool(code.removeprefix("tools."))
            else:
                exec(code, {})
        except SystemExit as end:
            assert not end.code


def count_frames(path):
    video, count = cv2.VideoCapture(str(path)), 0
    while video.read()[0]:
        count += 1
    return count


def assert_whole(export, formats):
    manifest = json.loads((export / MANIFEST).read_text())
    assert list(manifest["formats"]) == formats and manifest["sha256"]
    for name, digest in manifest["sha256"].items():
        assert runs.weights_digest(export / name) == digest
