"""What `godwit serve` alone takes."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request

from figures import RUNS, BenchError, memory_mb
from godwit import program
from server import free_port
from setting import Bench


def measure_serve(bench: Bench) -> None:
    for run in range(RUNS):
        port = free_port()
        data = bench.folder / f"serve{run}"
        with open(bench.folder / "serve.log", "ab") as log:
            begin = time.monotonic()
            process = subprocess.Popen(
                [str(program()), "serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"],
                stdout=log,
                stderr=log,
            )
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                        break
                except OSError:
                    if time.monotonic() - begin > 30 or process.poll() is not None:
                        raise BenchError("godwit serve did not start") from None
                    time.sleep(0.001)
            bench.add("serve.start", "s", time.monotonic() - begin)
            time.sleep(0.5)
            bench.add("serve.rss", "MB", memory_mb(process.pid, "VmRSS"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    bench.line("godwit serve, idle RSS", bench.median("serve.rss"), "MB", 64)
    bench.line("godwit serve, exec to first answer", bench.median("serve.start"), "s", 1)
