"""Scale: landmarks for many pictures, on all cores of a machine or on a Ray cluster."""
