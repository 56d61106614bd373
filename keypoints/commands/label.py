"""The label page, served: `python -m tools.label`."""

import threading
from pathlib import Path

from keypoints.errors import InputError


def label(folder: str, *, model: str = "pretrained-small", port: int = 0) -> None:
    """Correct the points that a model proposes on the pictures of a folder, in the browser.

    Prints an address of this machine, which is secret; Ctrl-C ends it. Each accepted picture is
    written at once to points.csv in the folder, which training reads. Annotations of other formats
    that are in the folder are read, and kept in points.csv from the first accepted picture on.

    Args:
        folder: pictures, with annotations or without
        model: bundled model, run folder or export that proposes the points
        port: number of the port; 0 takes a free one
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port={port}: a number from 0 to 65535 is expected")
    from keypoints.inference.predictor import Predictor
    from keypoints.label.server import open_server
    from keypoints.label.session import Session
    from keypoints.system.atomic import remove_partial_files
    from keypoints.system.locks import locked

    session = Session(Path(folder), Predictor.load(model), model)
    with locked(Path(folder), f"{folder}: another `keypoints label` runs on it"):
        remove_partial_files(Path(folder))
        server, address = open_server(session, port)
        stop = threading.Event()
        threading.Thread(target=session.propose_all, args=[stop], daemon=True).start()
        with server:
            print(address, flush=True)
            try:
                server.serve_forever()
            finally:
                stop.set()
