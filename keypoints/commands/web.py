"""The browser page, served: `python -m tools.web`."""

from keypoints.errors import InputError


def web(*, model: str = "pretrained-small", host: str = "127.0.0.1", port: int = 8068) -> None:
    """Serve the browser page: landmarks and filters on a camera, pictures and videos.

    Everything is computed in the browser; nothing is uploaded. Prints the address; Ctrl-C ends it.
    Browsers give a page the camera only on this machine (localhost) or over https.

    Args:
        model: pretrained-small, pretrained, or an export (its folder, or an .onnx file)
        host: address to listen on; the default is for this machine only
        port: number of the port; 0 takes a free one
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port={port}: a number from 0 to 65535 is expected")
    from keypoints.web.server import open_server

    with open_server(host, port, model=model) as server:
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{server.server_address[1]}/", flush=True)
        server.serve_forever()
