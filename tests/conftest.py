"""What every suite stands on. A missing program is an error, never a skip."""

import itertools
from pathlib import Path

import pytest
from godwit import program
from kills import Kills


@pytest.fixture(scope="session")
def godwit_program():
    path = program()
    assert path.exists(), f"{path} is not built: run make build"
    return path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """For --dist loadgroup: a worker takes a file, whose tests share servers, or a test that is `apart`.

    Those come first: a long one that begins last would be waited for by everybody.
    """
    for item in items:
        if not item.get_closest_marker("apart"):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=lambda item: item.get_closest_marker("apart") is None)


@pytest.fixture
def kills(request):
    return Kills(request.node)


def _kills(config):
    """The kills that the crash suite counted, on whichever worker; none when it did not run."""
    from kills import counted

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return None
    return counted(itertools.chain.from_iterable(reporter.stats.values())) or None


def pytest_sessionfinish(session):
    from kills import too_few

    kills = _kills(session.config)
    if kills and _whole(session.config) and session.exitstatus == 0 and too_few(kills):
        session.exitstatus = 1


def _whole(config):
    """Only the whole suite can promise a number of kills."""
    suite = Path(__file__).parent / "crash"
    return not config.option.keyword and any(suite.is_relative_to(Path(a).resolve()) for a in config.args)


def pytest_terminal_summary(terminalreporter, config):
    from kills import table, too_few

    if kills := _kills(config):
        terminalreporter.section("kills by phase")
        for line in table(kills) + (too_few(kills) if _whole(config) else []):
            terminalreporter.line(line)
