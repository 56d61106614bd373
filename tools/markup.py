from keypoints.commands.cli import run_tool

if __name__ == "__main__":
    run_tool("markup")
