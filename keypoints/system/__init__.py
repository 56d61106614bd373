"""Files, folders, processes, devices and optional packages; nothing about faces."""
