"""Binder and the development container: what they read, and the command that they run."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.setup_env import TESTED

ROOT = Path(__file__).resolve().parents[2]
POST_BUILD = ROOT / ".binder" / "postBuild"


def test_both_take_a_torch_without_parts_for_graphics_cards():
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text("utf-8"))
    python, *others = environment["dependencies"]
    assert tuple(map(int, python.removeprefix("python=").split("."))) in TESTED
    assert {"pip", "pytorch-cpu", "torchvision"} == set(others)
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert set(container) <= {
        "name",
        "build",
        "postCreateCommand",
        "forwardPorts",
        "customizations",
    }
    file = ROOT / ".devcontainer" / container["build"]["dockerfile"]
    context = (file.parent / container["build"]["context"]).resolve()
    copied, name = file.read_text("utf-8").split("COPY ")[1].split()[0], environment["name"]
    assert (context / copied).samefile(ROOT / ".binder" / "environment.yml")
    assert f"/envs/{name}/bin:$PATH" in file.read_text("utf-8")
    assert container["postCreateCommand"] == f"bash {POST_BUILD.relative_to(ROOT).as_posix()}"


@pytest.mark.skipif(os.name == "nt", reason="both run Linux")
def test_what_they_run_installs_the_helpers_in_a_folder_of_another_name(tmp_path):
    folder = tmp_path / "jovyan home"
    folder.mkdir()
    (folder / "python").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (folder / "python").chmod(0o755)
    assert os.access(POST_BUILD, os.X_OK), "Binder runs it"
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    done = subprocess.run(
        [POST_BUILD], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout == f"{folder}: -m pip install --no-cache-dir -e .\n", done.stderr
