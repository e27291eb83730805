"""What the shops of the demo have in common: how large their tables are, and how their customers work."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

# One customer's transaction on a session (psycopg's connection, PyMySQL's cursor); returns the rows that it changed.
Action = Callable[[Any, random.Random], int]


class Sizes:
    """Rows of each table for about `total` rows altogether."""

    def __init__(self, total: int, orders_max: int) -> None:
        self.orders = min(orders_max, max(50, total * 24 // 100))
        self.customers = max(20, total * 6 // 100)
        self.products = max(20, min(4000, total // 100))


def run_all(run: Callable[[str], object], statements: Iterable[str]) -> None:
    """A few at a time; the first error is raised."""
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(run, s) for s in statements]:
            done.result()


class Traffic:
    """Customers at work: threads that commit small transactions at a steady pace until stop()."""

    def __init__(self, sizes: Sizes, per_second: int = 300, threads: int = 4) -> None:
        self.n = sizes
        self.pause = threads / per_second
        self.transactions = self.rows = 0
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._last_order = 10_000_000
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]

    def session(self) -> AbstractContextManager[Any]:
        """What an action works on, one for each thread."""
        raise NotImplementedError

    def actions(self) -> list[Action]:
        """What customers do; what is there twice is done twice as often."""
        raise NotImplementedError

    def commit(self, session: Any, action: Action, chance: random.Random) -> int | None:
        """One action as a transaction; None when two customers were in each other's way and it was rolled back."""
        raise NotImplementedError

    def next_order(self) -> int:
        with self._lock:
            self._last_order += 1
            return self._last_order

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        if self.error is not None:
            raise RuntimeError(f"the traffic stopped: {self.error}") from self.error

    def _run(self, seed: int) -> None:
        chance = random.Random(seed)
        actions = self.actions()
        try:
            with self.session() as session:
                due = time.monotonic()
                while not self._stop.is_set():
                    rows = self.commit(session, chance.choice(actions), chance)
                    if rows is None:
                        continue
                    with self._lock:
                        self.transactions += 1
                        self.rows += rows
                    due = max(due + self.pause, time.monotonic() - 1)
                    self._stop.wait(max(0, due - time.monotonic()))
        except BaseException as error:
            self.error = error
