"""What the benchmark of ONNX files keeps of an earlier record."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("deploy", ROOT / "benchmarks" / "deploy.py")
deploy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(deploy)


def test_what_a_trained_network_read_is_kept_with_the_commit_that_measured_it(tmp_path):
    record = tmp_path / "deploy.json"
    assert deploy.read_before(record, "resnet18 int8") == {}
    read = {"trained": True, "run": {"images": 5}, "datasets": {"neat": {"hits": 3}}}
    files = {"resnet18 int8": {**read, "bytes": 9}, "resnet18 float32": {"trained": False}}
    record.write_text(json.dumps({"git_commit": "first", "files": files}), "utf-8")
    kept = deploy.read_before(record, "resnet18 int8")
    assert kept == {**read, "git_commit": "first"}
    assert deploy.read_before(record, "resnet18 float32") == {}
    assert deploy.read_before(record, "student int8") == {}
    # Kept once, it is kept again, and still from where it was measured.
    record.write_text(json.dumps({"git_commit": "second", "files": {"r": kept}}), "utf-8")
    assert deploy.read_before(record, "r") == kept


def test_times_are_kept_with_the_machine_that_measured_them(tmp_path):
    record = tmp_path / "deploy.json"
    with pytest.raises(ValueError, match="has no times of a, b"):
        deploy.timed_before(record, ["a", "b"])
    times = {"milliseconds": 2.0, "fastest": 1.5, "slowest": 3.0, "ratio": 1.0}
    first = {"git_commit": "first", "device": {"cpu": "fast"}, "onnxruntime": "1"}
    record.write_text(json.dumps({**first, "files": {"a": {**times, "bytes": 9}}}), "utf-8")
    assert deploy.timed_before(record, ["a"]) == ({"a": times}, first)
    with pytest.raises(ValueError, match="has no times of b"):
        deploy.timed_before(record, ["a", "b"])
    # Kept once, they are kept again, and still with the first machine.
    second = {"git_commit": "second", "device": {"cpu": "slow"}, "onnxruntime": "2"}
    files = {"a": {**times, "bytes": 10}}
    record.write_text(json.dumps({**second, "timed": first, "files": files}), "utf-8")
    assert deploy.timed_before(record, ["a"]) == ({"a": times}, first)


def test_without_times_to_keep_nothing_is_begun(tmp_path, monkeypatch, capsys):
    out = tmp_path / "none.json"
    monkeypatch.setattr("sys.argv", ["deploy.py", "student", "--keep-times", "--out", str(out)])
    with pytest.raises(SystemExit):
        deploy.main()
    assert "none.json: has no times of student float32, student int8" in capsys.readouterr().err
    assert not out.exists()
