from keypoints.commands.cli import run_command
from keypoints.commands.filter import filter

if __name__ == "__main__":
    run_command(filter)
