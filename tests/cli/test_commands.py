"""The commands from end to end on the digits, and how each refuses what it can't do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zeropoint import cli, data
from zeropoint.engine import Session

COMMANDS = ("train", "quantize", "convert", "eval", "run", "inspect", "demo")

FLOAT = """
[network]
name = "digits_net"
width = 8
[data]
dataset = "digits"
[train]
epochs = 4
batch_size = 64
learning_rate = 0.2
schedule = "one_cycle"
"""
QUANTIZED = FLOAT.replace("epochs = 4", "epochs = 2\nfreeze_epochs = 1").replace("0.2", "0.01") + "[scheme]\nbits = 8\n"


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a float and a quantized run and the converted network, made by the commands."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("cli")
    (root / "float.toml").write_text(FLOAT)
    (root / "quantized.toml").write_text(QUANTIZED)
    steps = (
        ["train", "--recipe", "float.toml", "--out", "float"],
        ["quantize", "float/last.ckpt", "--recipe", "quantized.toml", "--out", "quantized"],
        ["convert", "quantized/last.ckpt", "--out", "digits.tflite"],
    )
    for step in steps:
        assert (
            cli.run([str(root / part) if "." in part or part in ("float", "quantized") else part for part in step]) == 0
        )
    return root


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert isinstance(answer, dict)
    return answer


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a refused command prints."""
    capsys.readouterr()
    assert cli.run(list(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("zeropoint: ")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    return printed.err


def test_accuracy_of_float_quantized_and_integer(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = ask(capsys, "eval", str(made / "float" / "last.ckpt"))
    exact = ask(capsys, "eval", str(made / "quantized" / "last.ckpt"))
    integer = ask(capsys, "eval", str(made / "digits.tflite"))
    assert plain["images"] == exact["images"] == integer["images"] == 360
    assert plain["accuracy"] > 0.9  # type: ignore[operator]
    assert exact["accuracy"] == integer["accuracy"]
    assert abs(plain["accuracy"] - integer["accuracy"]) < 0.03  # type: ignore[operator]
    assert ask(capsys, "eval", str(made / "digits.tflite"), "--limit", "7")["images"] == 7


def test_litert_agrees(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ai_edge_litert", reason="the extra `peers` is not installed")
    ours = ask(capsys, "eval", str(made / "digits.tflite"))
    theirs = ask(capsys, "eval", str(made / "digits.tflite"), "--runtime", "litert-reference")
    assert ours["accuracy"] == theirs["accuracy"]


def test_run_gives_the_class_of_an_image_and_of_an_array(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, _ = data.digits("test")[0]
    Image.fromarray(image[0].numpy()).save(tmp_path / "digit.png")
    np.save(tmp_path / "digit.npy", image.permute(1, 2, 0).numpy())
    (tmp_path / "labels.txt").write_text("\n".join(f"number {i}" for i in range(10)))
    expected = Session(made / "digits.tflite").run(image.permute(1, 2, 0).numpy()[None]).reshape(-1)
    for name in ("digit.png", "digit.npy"):
        answer = ask(
            capsys, "run", str(made / "digits.tflite"), str(tmp_path / name),
            "--labels", str(tmp_path / "labels.txt"), "--top", "3",
        )  # fmt: skip
        (output,) = answer["outputs"]  # type: ignore[misc]
        assert [item["code"] for item in output["top"]] == sorted(expected.tolist(), reverse=True)[:3]
        best = output["top"][0]
        assert best["class"] == int(expected.argmax())
        assert best["label"] == f"number {best['class']}"
    assert cli.run(["run", str(made / "digits.tflite"), str(tmp_path / "digit.png")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_inspect(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = made / "digits.tflite"
    answer = ask(capsys, "inspect", str(model))
    kinds = [op["op"] for op in answer["ops"]]  # type: ignore[attr-defined]
    assert kinds.count("conv_2d") == 3
    assert answer["bytes"] == model.stat().st_size
    assert 0 < answer["constant_bytes"] < answer["bytes"]  # type: ignore[operator]
    assert cli.run(["inspect", str(model)]) == 0
    assert "conv_2d" in capsys.readouterr().out
    assert cli.run(["inspect", str(model), "--text"]) == 0
    assert "@0 " in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"zeropoint {command}" in text
    assert "--json" in text


def test_what_is_refused(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, model = str(made / "float" / "last.ckpt"), str(made / "digits.tflite")
    assert "float.toml" in refused(capsys, "quantize", plain, "--recipe", str(made / "float.toml"))
    assert "has a [scheme]" in refused(capsys, "train", "--recipe", str(made / "quantized.toml"))
    assert "quantize" in refused(capsys, "convert", plain)
    assert "no checkpoint" in refused(capsys, "eval", str(tmp_path / "none.ckpt"))
    assert "none.tflite" in refused(capsys, "eval", str(tmp_path / "none.tflite"))
    assert "does not exist" in refused(capsys, "eval", model, "--data", f"cifar10:{tmp_path / 'none'}")
    assert "no input at" in refused(capsys, "run", model, str(tmp_path / "none.png"))
    assert "is a checkpoint" in refused(capsys, "eval", plain, "--runtime", "litert")
    assert "the recipe is for {" in refused(
        capsys, "quantize", plain, "--recipe", str(other_network(tmp_path)), "--out", str(tmp_path / "out")
    )
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"not a model")
    for command in ("inspect", "eval"):
        assert "broken.tflite" in refused(capsys, command, str(broken))
    broken.with_suffix(".ckpt").write_bytes(Path(plain).read_bytes()[:1000])
    assert "not a readable checkpoint" in refused(capsys, "eval", str(broken.with_suffix(".ckpt")))


def other_network(folder: Path) -> Path:
    recipe = folder / "other.toml"
    recipe.write_text(QUANTIZED.replace("width = 8", "width = 6"))
    return recipe


def test_usage_errors_are_2_and_interrupts_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["eval"]) == 2
    assert cli.run(["no-such-command"]) == 2

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zeropoint.data.open.digits", interrupt)
    monkeypatch.setattr("zeropoint.training.load_model", interrupt)
    assert cli.run(["eval", "x.ckpt"]) == 130


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'typer'", name="typer")

    monkeypatch.setattr("zeropoint.cli.app.invoke", missing)
    assert "pip install 'zeropoint[cli]'" in refused(capsys, "train")
