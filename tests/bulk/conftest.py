"""Settings of Ray that hold from its import on: loopback alone, nothing written at home."""

import os
from pathlib import Path

from keypoints.bulk import cluster

TOKEN = {"RAY_AUTH_TOKEN": 32 * "0", "PYTHONPATH": str(Path(__file__).parents[2])}
os.environ.update({**cluster.ENVIRONMENT, **cluster.LOCAL, **TOKEN})
