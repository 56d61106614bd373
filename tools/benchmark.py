from keypoints.commands.benchmark import benchmark
from keypoints.commands.cli import run_command

if __name__ == "__main__":
    run_command(benchmark)
