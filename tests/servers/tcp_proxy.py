"""A TCP relay that can be cut, silenced and slowed down."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class TcpProxy:
    def __init__(self, host: str, port: int) -> None:
        self.to = (host, port)
        self.refuse = False  # new connections are closed at once
        self.silent = False  # nothing passes, nothing is closed
        self.bytes_per_s = 0  # 0: as fast as it goes
        self.passed = 0
        self._open: set[socket.socket] = set()
        self._end = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._end:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.to, timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._open |= {client, server}
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(a, b), daemon=True).start()

    def _relay(self, a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := a.recv(16384):
                while self.silent and not self._end:
                    time.sleep(0.02)
                if self.bytes_per_s:
                    time.sleep(len(block) / self.bytes_per_s)
                b.sendall(block)
                self.passed += len(block)
        for s in (a, b):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()
            self._open.discard(s)

    def cut(self) -> int:
        """Resets every connection; how many."""
        count = len(self._open)
        for s in list(self._open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        return count

    def close(self) -> None:
        self._end = True
        self._listener.close()
        self.cut()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
