"""What the loop of `keypoints label` saves: corrected points a face, counted on drawn faces."""
