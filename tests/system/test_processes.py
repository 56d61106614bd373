import os

import pytest

from keypoints.errors import InputError
from keypoints.system.processes import run_python


def test_a_child_has_its_arguments_our_package_and_the_users_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("NAME = 'mine'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = "import os, sys, mine, keypoints; print(mine.NAME, os.environ['COLOUR'], sys.argv[1:])"
    printed = run_python(code, "a b", "c", failure="it failed", COLOUR="red")
    assert printed == "mine red ['a b', 'c']\n" and "COLOUR" not in os.environ


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            r"^it failed: its process was killed by SIGKILL; the system does so when memory runs",
        ),
        ("import os; os.kill(os.getpid(), 11)", "^it failed: its process was killed by SIGSEGV$"),
        ("import sys; sys.exit(3)", "^it failed: exit code 3$"),
        ("1 / 0", "^it failed: ZeroDivisionError: division by zero$"),
        (
            "from keypoints.errors import InputError; raise InputError('a.png: no picture')",
            "^it failed: a.png: no picture$",
        ),
    ],
)
def test_a_child_that_does_not_end_well_says_why(code, message):
    with pytest.raises(InputError, match=message):
        run_python(code, failure="it failed")


def test_a_child_that_hangs_is_ended():
    with pytest.raises(InputError, match=r"^it failed: no answer within 0.5 s$"):
        run_python("import time; time.sleep(60)", failure="it failed", timeout=0.5)
