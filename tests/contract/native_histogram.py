"""A target that Prometheus scrapes a native histogram from, which only the protobuf form of an exposition can say.

Each scrape finds 100 events more: 90 in the bucket (0.25, 0.5], 10 in the bucket (2, 4].
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from typing_extensions import override

_HISTOGRAM = 4  # the type of a family
_FAST, _SLOW = 90, 10  # events a scrape
_FAST_BUCKET, _SLOW_BUCKET = -1, 2  # of schema 0: bucket n is (2^(n-1), 2^n]


@contextmanager
def scraped_target() -> Iterator[str]:
    """Serve on loopback; give HOST:PORT."""
    scrapes = 0

    class Handler(BaseHTTPRequestHandler):
        @override
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            nonlocal scrapes
            scrapes += 1
            body = _family("req_seconds", scrapes)
            self.send_response(200)
            kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _family(name: str, scrapes: int) -> bytes:
    fast, slow = _FAST * scrapes, _SLOW * scrapes
    gap = _SLOW_BUCKET - _FAST_BUCKET - 1
    histogram = b"".join(
        (
            _number(1, fast + slow),
            _double(2, float(scrapes)),
            _number(5, _zigzag(0)),  # the schema
            _double(6, 1e-9),  # how wide the bucket of zero is
            _number(7, 0),  # what is in it
            _bytes(12, _number(1, _zigzag(_FAST_BUCKET)) + _number(2, 1)),
            _bytes(12, _number(1, _zigzag(gap)) + _number(2, 1)),
            _bytes(13, _varint(_zigzag(fast)) + _varint(_zigzag(slow - fast))),
        )
    )
    family = _bytes(1, name.encode()) + _number(3, _HISTOGRAM) + _bytes(4, _bytes(7, histogram))
    return _varint(len(family)) + family


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else -value * 2 - 1
