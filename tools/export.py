from keypoints.commands.cli import run_command
from keypoints.commands.export import export

if __name__ == "__main__":
    run_command(export)
