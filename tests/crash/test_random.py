"""kill -9 at random moments. The process is stopped first: the servers can tell what it was in the middle of."""

import random
import time

import pytest
from kills import FULL
from live import Traffic
from task_process import TaskProcess


@pytest.mark.parametrize("seed", range(20, 29) if FULL else [20])
def test_random_moments(shop, kills, prove_equal, seed):
    source, target, name = shop
    r = random.Random(seed)
    with (
        Traffic(source, name, seed=seed, big_every=10) as traffic,
        TaskProcess(source, target, name, name, source_attributes={"sliceblocks": 8}) as task,
    ):
        how = "fresh"
        for _ in range(24 if FULL else 12):
            # slices are slowed down, so that a kill finds them at work
            task.start(how, failpoint=f"slice.rows_sent=sleep:{r.randint(0, 60)}@{r.randint(1, 9)}")
            time.sleep(r.choice((0.05, 0.15, 0.3, 0.45, 0.6, 0.9)) + r.random() * 0.15)
            assert task.running(), task.log_text()
            kills.frozen(task)
            if r.random() < 0.12 and task.kill_keepers():
                kills.add("keeper")
            # before the first ledger row there is nothing to resume
            how = "resume" if (task.folder / "slot").exists() and task.phases_known() else "fresh"
        task.start(how)
        traffic.stop()
        prove_equal(task, source, target, name)
