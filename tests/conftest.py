"""For all tests."""

from pathlib import Path

from backends import uses_keras
from hypothesis import settings

# Properties are checked, not speed: a busy machine would fail at random.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser):
    parser.addoption(
        "--only-keras",
        action="store_true",
        help="leave out the files of tests that no backend of Keras can matter to",
    )


def pytest_ignore_collect(collection_path, config):
    if not config.getoption("--only-keras") or not collection_path.match("test_*.py"):
        return None
    return None if uses_keras(collection_path) else True


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--only-keras"):
        files = sorted(Path(__file__).parent.glob("test_*.py"))
        named = ", ".join(path.stem for path in files if not uses_keras(path))
        terminalreporter.write_line(f"Left out, because they do not reach Keras: {named}")
