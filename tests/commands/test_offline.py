"""Commands that take a bundled model unless told otherwise, in an empty home, without a network."""

import inspect
import ipaddress
import shutil
import socket
import socketserver

import pytest

from benchmarks import annotation
from keypoints.commands import cli
from keypoints.exports import parity, pictures
from keypoints.pretrained import NAMES
from keypoints.web.server import PAGE
from tests.conftest import left_in
from tests.faces import write_folder

# Arguments with which each ends soon; those of no model, which is what is tried here.
ARGUMENTS = {
    "annotate": ["my_faces", "--output=out"],
    "benchmark": ["annotate", "--repeats=1"],
    "evaluate": ["--data=folder:my_faces", "--output=out"],
    "export": ["--formats=onnx-int8"],
    "filter": ["my_faces/0.png", "--filter=crown", "--output=out.png"],
    "label": ["photos"],
    "train": ["finetune", "--data=folder:my_faces", "--epochs=1", "--batch_size=2", "--seed=1",
              "--epoch_steps=1", "--rehearsal=0", "--trainable=head"],
    "web": ["--port=0"],
    "webcam": ["--source=synthetic", "--headless=True", "--max_frames=2"],
}  # fmt: skip
PRINTED = {
    "annotate": "8",
    "benchmark": "annotate",
    "evaluate": "NME",
    "export": "checked on 2 faces of drawn/validation",
    "filter": "1 face",
    "label": "http://127.0.0.1:",
    "train": "epoch 1",
    "web": "http://127.0.0.1:",
    "webcam": "",
}


LONG = ("annotate", "benchmark", "export", "train")


def test_each_command_whose_default_is_a_bundled_model_is_tried():
    signatures = {name: inspect.signature(cli.load_command(name)) for name in cli.COMMANDS}
    defaults = {
        name
        for name, signature in signatures.items()
        if any(parameter.default in NAMES for parameter in signature.parameters.values())
    }
    # In benchmark and evaluate "" and None stand for it, and an experiment names it for train.
    assert defaults | {"benchmark", "evaluate", "train"} == set(ARGUMENTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.long) if n in LONG else n for n in ARGUMENTS],
)
def test_it_needs_no_network_and_nothing_at_home(name, tmp_path, monkeypatch, capsys):
    if name in ("label", "web") and not (PAGE / "label.html").is_file():
        pytest.skip("the page is not built: `make web` needs Node.js 20.19 or newer")

    def refuse(this, address):
        if this.family in (socket.AF_INET, socket.AF_INET6):
            assert not ipaddress.ip_address(address[0]).is_global, address
        return connect(this, address)

    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for scheme in ("http", "https"):  # of processes that it starts
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "my_faces")
    (tmp_path / "photos").mkdir()
    shutil.copy(tmp_path / "my_faces" / "0.png", tmp_path / "photos")
    monkeypatch.setattr(socketserver.BaseServer, "serve_forever", lambda self: None)
    for module, field, value in (
        (annotation, "WORKERS", (1,)), (annotation, "PICTURES", 4), (annotation, "UNIT", 2),
        (pictures, "DRAWN", 2), (parity, "RUNS", 1),
    ):  # fmt: skip
        monkeypatch.setattr(module, field, value)
    cli.run_command(cli.load_command(name), ARGUMENTS[name], name=name)
    assert PRINTED[name] in capsys.readouterr().out
    assert left_in(home) == set()
