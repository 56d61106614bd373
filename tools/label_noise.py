from keypoints.commands.cli import run_command
from keypoints.commands.label_noise import label_noise

if __name__ == "__main__":
    run_command(label_noise)
