from keypoints.commands.cli import run_command
from keypoints.commands.train import train

if __name__ == "__main__":
    run_command(train)
