"""Rehearsal: what keeps a network that is fitted to few pictures from forgetting all others.

A share of what it is shown are drawn faces, and their points are the answers of the network that it
starts from (pseudo-rehearsal: Robins, "Catastrophic forgetting, rehearsal and pseudorehearsal",
1995). So on other faces it stays what it was.
"""

from dataclasses import replace

from keypoints.config import Config
from keypoints.data.records import Records, join, make_records
from keypoints.evaluation.protocol import predict_points
from keypoints.models import runs
from keypoints.models.initial_weights import run_folder
from keypoints.synthetic.drawing import draw_face

DRAWN = 64  # faces


def with_rehearsal(training: Records, config: Config) -> Records:
    """`training`, and drawn faces that make up `config.rehearsal` of an epoch.

    Without an initial network, or with one that finds other points, `training` alone.
    """
    folder = run_folder(config.weights)
    if not config.rehearsal or folder is None:
        return training
    if runs.load_markup(folder).difference(training.markup):
        return training
    network = runs.load_network(folder)
    faces = ((f"{seed}.png", "", *draw_face(seed)) for seed in range(DRAWN))
    drawn = make_records("drawn/" + training.name.partition("/")[2], faces)
    answers = predict_points(network, drawn, drawn.boxes).points
    share = config.rehearsal / (1 - config.rehearsal) * training.epoch_size / DRAWN
    return join([training, replace(drawn, points=answers)], [1.0, share])
