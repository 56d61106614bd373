"""Media: picture files, video files, cameras, overlays, tables of landmarks."""
