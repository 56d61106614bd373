"""Live: the loop over a camera's or a video's frames, its window, its keys and its recordings."""
