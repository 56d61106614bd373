"""Live: the loop over the frames of a camera or a video, its window, keys and recordings."""
