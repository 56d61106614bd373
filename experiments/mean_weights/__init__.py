"""The weighted mean of the weights of several networks, as a run folder."""
