"""How a task process ends when something around it goes wrong, and how its supervisor would go on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from task_process import TaskProcess


def recoverable_end(task: TaskProcess, timeout_s: float = 30) -> dict[str, Any]:
    """The process gives up for now; the supervisor starts it again."""
    assert task.wait_end(timeout_s) == 1, task.log_text()
    report = task.report()
    assert (report["state"], report["stop_reason"], report["recoverable"]) == ("failed", "RECOVERABLE_ERROR", True), (
        report
    )
    assert report["last_error"]
    return report


def fatal_end(task: TaskProcess, words: Iterable[str], timeout_s: float = 30) -> str:
    """A new start does not help: the message names the thing and the cure."""
    assert task.wait_end(timeout_s) == 1, task.log_text()
    report = task.report()
    assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR"), report["last_error"]
    for word in words:
        assert word in report["last_error"], report["last_error"]
    return report["last_error"]


def failed_start(task: TaskProcess, words: Iterable[str]) -> None:
    task.start("fresh")
    fatal_end(task, words, 20)


def go_on(task: TaskProcess, tries: int = 20) -> None:
    """As the supervisor does: started again until it runs."""
    for _ in range(tries):
        if not task.running():
            task.start("resume")
        try:
            return task.wait_state("running", 5)
        except AssertionError:
            assert task.report().get("recoverable"), task.log_text()
            time.sleep(0.2)
    raise AssertionError(f"it does not go on\n{task.log_text()}")
