"""The whole loop: faces labelled on the page's API, a network trained, and proposals by it."""

import json
import threading
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import numpy as np
import pytest

from keypoints.commands import cli
from keypoints.inference.predictor import Predictor
from keypoints.label import rounds, server
from keypoints.label.proposals import face_size
from keypoints.label.session import Session
from keypoints.markup import IBUG68
from keypoints.media.pictures import encode_png
from keypoints.synthetic.drawing import draw_face
from tests.faces import FOUND
from tests.label.test_server import ask, root, write

LABELLED, ADDED, OTHERS = FOUND[:5], FOUND[5], FOUND[6:]


@contextmanager
def served(session, page):
    opened, address = server.open_server(session, 0, page=page)
    with opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield urlsplit(address)
        opened.shutdown()


def truth_of(seed):
    """A drawn face and its points `(68, 2)` as the labeller wants them: 8 % of the face lower."""
    image, points = draw_face(seed)
    return image, points + np.float32([0, 0.08 * face_size(IBUG68, points)])


def label_all(url):
    """Correct the face of each picture that `next` gives, as the page asks for them; their names.

    A face whose points are all within 2 % of the true places is accepted as it is.
    """
    done = []
    while (name := json.loads(ask(url, f"{root(url)}/api/next")[1])["name"]) is not None:
        found = json.loads(ask(url, f"{root(url)}/api/faces?name={quote(name)}")[1])
        truth = truth_of(int(name.removesuffix(".png")))[1]
        assert len(found["faces"]) == 1 and not found["labelled"]
        (face,) = found["faces"]
        off = np.linalg.norm(np.array(face["points"]) - truth, axis=1)
        if off.max() > 0.02 * face_size(IBUG68, truth):
            face["points"] = truth.astype(float).tolist()
        body = {"name": name, "version": found["version"], "faces": [face]}
        assert write(url, body)[0] == 200
        done.append(name)
    return done


def error(predictor):
    """The mean distance from the true points of other faces, in percent of the face."""
    away = []
    for seed in OTHERS:
        image, truth = truth_of(seed)
        points = predictor.predict(image, IBUG68.face_boxes(truth)[None])[0]
        distance = np.linalg.norm(points - truth, axis=1).mean()
        away.append(100 * distance / face_size(IBUG68, truth))
    return float(np.mean(away))


@pytest.mark.slow
@pytest.mark.long
def test_five_labelled_faces_make_a_model_that_proposes_better(tmp_path, capsys):
    folder, page, run = tmp_path / "faces", tmp_path / "page", tmp_path / "run"
    folder.mkdir()
    page.mkdir()
    for name in ("index.html", "label.html"):
        (page / name).write_text(name)
    for seed in LABELLED:
        (folder / f"{seed}.png").write_bytes(encode_png(draw_face(seed)[0]))
    bundled = Predictor.load("pretrained-small")
    with served(Session(folder, bundled, "pretrained-small", "aa"), page) as url:
        assert sorted(label_all(url)) == sorted(f"{seed}.png" for seed in LABELLED)
    arguments = [f"--data=folder:{folder}", f"--run={run}", "--trainable=head"]
    # Sixteen steps, which have to be larger ones.
    arguments += ["--epochs=2", "--epoch_steps=8", "--ema=0.7", "--rehearsal=0"]
    arguments += ["--learning_rate=1e-3"]
    cli.run_command(cli.load_command("train"), ["finetune", *arguments])
    own = Predictor.load(run)
    assert error(own) < 0.6 * error(bundled)
    (folder / f"{ADDED}.png").write_bytes(encode_png(draw_face(ADDED)[0]))
    with served(Session(folder, own, str(run), "bb", own=True), page) as url:
        assert label_all(url) == [f"{ADDED}.png"]
    first, second = (
        [face.correction for face in rounds.read(folder) if face.digest == digest]
        for digest in ("aa", "bb")
    )
    assert len(first) == 5 and len(second) == 1 and second[0] < 0.6 * np.mean(first)
    capsys.readouterr()
    cli.run_command(cli.load_command("label"), [str(folder), "--summary"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["1", "5", f"{np.mean(first):.2f}"]
    assert lines[2].split()[-1] == str(run)
