"""The label page, served: `python -m tools.label`."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from keypoints.commands.progress import Progress, count_of
from keypoints.errors import InputError

if TYPE_CHECKING:
    from keypoints.label.session import Session


def label(
    folder: str,
    *,
    model: str = "pretrained-small",
    markup: str | None = None,
    frames: int | None = None,
    summary: bool = False,
    port: int = 0,
) -> None:
    """Correct the points that a model proposes on the pictures of a folder, in the browser.

    Prints an address of this machine, which is secret; Ctrl-C ends it. Each accepted picture is
    written at once to points.csv in the folder, which training reads. Annotations of other formats
    that are in the folder are read, and kept in points.csv from the first accepted picture on. Of a
    video, frames that differ are written as pictures into the folder CLIP-frames beside it.

    Args:
        folder: pictures, with annotations or without; or a video
        model: bundled model, run folder or export that proposes the points; none: faces begin with
            the mean face
        markup: new: name the points of a face first, which is written to markup.toml in the folder
        frames: most frames that are taken of a video; default: 20
        summary: print what the proposals of each model were worth, and serve nothing
        port: number of the port; 0 takes a free one
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port={port}: a number from 0 to 65535 is expected")
    if markup not in (None, "new"):
        raise InputError(f"--markup={markup}: new is expected")
    from keypoints.inference.predictor import Predictor
    from keypoints.label import clip, rounds
    from keypoints.label.proposals import Proposer
    from keypoints.label.session import Session
    from keypoints.media.formats import is_video
    from keypoints.pretrained import NAMES
    from keypoints.system.digests import file_digest

    source = Path(folder).expanduser()
    film = is_video(source) and not source.is_dir()
    place = clip.frames_folder(source) if film else source
    if summary:
        rows = rounds.read(place)
        if not rows:
            raise InputError(f"{place / rounds.FILE}: no face was accepted on the page yet")
        print("\n".join(rounds.summary(rows)))
        return
    if frames is not None:
        if not film or frames < 1:
            reason = "1 or more is expected" if film else "it is for a video"
            raise InputError(f"--frames={frames}: {reason}")
        if place.is_dir():
            raise InputError(f"--frames={frames}: {place} is there; leave it out to go on with it")
    predictor = None if model == "none" else Predictor.load(model)
    own = predictor is not None and model not in NAMES
    if film and not place.is_dir():
        if predictor is None:
            raise InputError("--model=none: the frames of a video are chosen with a model")
        proposer, progress = Proposer(predictor, predictor.markup, twins=own), Progress("frames")
        count = clip.FRAMES if frames is None else frames
        clip.take_frames(source, proposer, count=count, on_frame=progress.show)
        progress.clear()
    weights = None if predictor is None else predictor.network.source
    digest = file_digest(weights)[:12] if weights else ""
    session = Session(place, predictor, model, digest, own=own, naming=markup == "new")
    if film:
        print(f"{place}: {count_of(len(session.pictures), 'frame')} of {source.name}", flush=True)
    serve(session, place, f"{folder}: another `keypoints label` runs on it", port)


def serve(session: "Session", place: Path, busy: str, port: int) -> None:
    """Serve the page until Ctrl-C; raises InputError with `busy` where another process does."""
    from keypoints.label.server import open_server
    from keypoints.system.atomic import remove_partial_files
    from keypoints.system.locks import locked

    with locked(place, busy):
        remove_partial_files(place)
        server, address = open_server(session, port)
        stop = threading.Event()
        threading.Thread(target=session.propose_all, args=[stop], daemon=True).start()
        with server:
            print(address, flush=True)
            try:
                server.serve_forever()
            finally:
                stop.set()
