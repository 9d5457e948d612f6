"""What GitHub runs: a workflow that it can read, and targets that the Makefile has."""

import re
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")  # comes with what builds the book

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def faults(text: str) -> list[str]:
    """What GitHub, or make, would stumble over."""
    try:
        workflow = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    found = []
    for name, job in workflow.get("jobs", {}).items():
        needed = job.get("needs", [])
        needed = [needed] if isinstance(needed, str) else needed
        found += [f"{name} needs {other}" for other in needed if other not in workflow["jobs"]]
        if "runs-on" not in job:
            found.append(f"{name} runs nowhere")
        for step in job.get("steps", []):
            if "uses" in step and not re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]):
                found.append(f"{step['uses']} is not of GitHub's own, of one major version")
            for call in re.findall(r"\bmake((?: +\S+)*)", step.get("run", "")):
                goals = [word for word in call.split() if "=" not in word]
                found += [f"there is no make {goal}" for goal in goals if goal not in TARGETS]
            if ("run" in step) == ("uses" in step):
                found.append(f"a step of {name} must either run or use something")
    if True not in workflow and "on" not in workflow:  # YAML 1.1 reads "on" as true
        found.append("it never runs")
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs(path):
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_book_is_built_tested_and_published():
    jobs = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text(encoding="utf-8"))["jobs"]
    steps = [step.get("run") or step["uses"] for step in jobs["build"]["steps"]]
    assert steps.index("make book") < steps.index("make test") < len(steps) - 1
    assert jobs["build"]["steps"][-1]["with"]["path"] == "_build/html"
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["steps"][-1]["uses"].startswith("actions/deploy-pages@")
    assert jobs["links"]["continue-on-error"] is True


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("run: make test", "run: make tests", "there is no make tests"),
        ("needs: build", "needs: book", "publish needs book"),
        ("actions/checkout@v5", "actions/checkout@main", "actions/checkout@main"),
        ("actions/checkout@v5", "someone/checkout@v5", "someone/checkout@v5"),
        ("  build:", " build:", "no YAML"),
        ("on:\n", "when:\n", "it never runs"),
    ],
)
def test_a_fault_is_found(old, new, fault):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    assert old in text
    assert any(fault in each for each in faults(text.replace(old, new, 1)))


def test_requirements_hold_nobody_back():
    """Colab's versions must do: a bound from above, or a pin, needs a comment that says why."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if re.search("[<=~!]=|<", line.replace(">=", "")) and not line.startswith("#"):
            assert before.startswith("#") or "#" in line, f"{line!r} does not say why"
