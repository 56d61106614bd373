"""Models: the network, its losses, fast layers for CPUs, and the run folder that stores it."""
