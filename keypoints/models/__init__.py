"""Models: the network, its losses, layers with fast CPU kernels, and the run folder."""
