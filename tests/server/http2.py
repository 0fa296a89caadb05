"""HTTP/2 for the test server, with the h2 package: /echo and /bytes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events

if TYPE_CHECKING:
    from tests.server.server import Server


class _Stream:
    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers = headers
        self.body = b""
        self.rest: bytes | None = None


def talk(server: Server, client: socket.socket) -> None:
    """Serve one connection until the client leaves."""
    http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    http.initiate_connection()
    client.sendall(http.data_to_send())
    streams: dict[int, _Stream] = {}
    while data := client.recv(65536):
        for event in http.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                streams[event.stream_id] = _Stream(list(event.headers))
            elif isinstance(event, h2.events.DataReceived):
                streams[event.stream_id].body += event.data
                http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                _answer(server, http, event.stream_id, streams[event.stream_id])
            elif isinstance(event, h2.events.StreamReset):
                streams.pop(event.stream_id, None)
        for stream_id, stream in list(streams.items()):
            if stream.rest is not None and _send(http, stream_id, stream):
                del streams[stream_id]
        client.sendall(http.data_to_send())


def _answer(server: Server, http: h2.connection.H2Connection, stream_id: int, stream: _Stream) -> None:
    from tests.server.server import Request, echo_of

    pseudo = dict(stream.headers)
    plain = [(name, value) for name, value in stream.headers if not name.startswith(":")]
    request = Request(pseudo[":method"], pseudo[":path"], plain, stream.body, server.port)
    server.requests.append(request)
    stream.rest = bytes(int(request.query["n"])) if request.path == "/bytes" else echo_of(request)
    http.send_headers(stream_id, [(":status", "200"), ("content-length", str(len(stream.rest)))])


def _send(http: h2.connection.H2Connection, stream_id: int, stream: _Stream) -> bool:
    """As much as the client has room for; whether that was all."""
    assert stream.rest is not None
    while stream.rest:
        n = min(http.local_flow_control_window(stream_id), http.max_outbound_frame_size, len(stream.rest))
        if n == 0:
            return False
        http.send_data(stream_id, stream.rest[:n])
        stream.rest = stream.rest[n:]
    http.end_stream(stream_id)
    return True
