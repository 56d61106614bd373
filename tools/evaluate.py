from keypoints.commands.cli import run_command
from keypoints.commands.evaluate import evaluate

if __name__ == "__main__":
    run_command(evaluate)
