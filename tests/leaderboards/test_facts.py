import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from leaderboards import facts


def test_the_code_facts_name_versions_and_the_commit_of_this_checkout():
    found = facts.code_facts()
    assert found["numpy"] == np.__version__ and found["frugalseg"]
    root = Path(facts.__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("no checkout")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert found["commit"] == head.stdout.strip() and found["dirty"] in {"true", "false"}


def test_a_change_of_code_makes_a_checkout_dirty_and_a_new_record_does_not(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], cwd=tmp_path, check=True
        )

    for package in ("bench", "baselines", "leaderboards/results", "leaderboards/pages", "converters"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "a.py").write_text("1\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    assert facts._checkout(tmp_path)["dirty"] == "false"
    (tmp_path / "leaderboards" / "results" / "new.json").write_text("{}")
    assert facts._checkout(tmp_path)["dirty"] == "false"
    (tmp_path / "bench" / "new.py").write_text("2\n")
    assert facts._checkout(tmp_path)["dirty"] == "true"


def test_a_folder_inside_another_checkout_has_no_commit(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "venv").mkdir()
    assert facts._checkout(tmp_path / "venv") == {}


def test_the_machine_facts_do_not_say_whose_machine_it_is():
    found = facts.machine_facts()
    assert set(found) >= {"cpu", "cores", "python", "os"} and int(found["cores"]) >= 1
    assert socket.gethostname() not in " ".join(found.values())
    assert str(Path.home()) not in " ".join([*found.values(), *facts.code_facts().values()])


def test_the_digest_of_the_code_follows_the_code_and_not_the_place(tmp_path, monkeypatch):
    found = []
    for place, text in (("here", "1\n"), ("there", "1\n"), ("other", "2\n")):
        for package in ("bench", "baselines", "leaderboards", "converters"):
            (tmp_path / place / package).mkdir(parents=True)
        (tmp_path / place / "bench" / "a.py").write_text(text)
        (tmp_path / place / "leaderboards" / "new.json").write_text(place)
        monkeypatch.setattr(facts, "_SOURCE", tmp_path / place)
        found.append(facts.code_sha256())
    assert found[0] == found[1] != found[2]
