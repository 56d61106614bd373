from keypoints.commands.cli import run_command
from keypoints.commands.webcam import webcam

if __name__ == "__main__":
    run_command(webcam)
