"""68 face landmarks: data, training, evaluation, live use and export."""
