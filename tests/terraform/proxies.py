"""Two proxies of the Terraform lane: one that loses a reply, one that knows where names lead."""

import http.client
import select
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUFFER_BYTES = 65536
HOP_HEADERS = {"connection", "transfer-encoding", "keep-alive"}


class LosesFirstLockReply:
    """Passes requests on unchanged, but drops the connection instead of the first answer to a PUT of
    a lock object, after the server has done it."""

    def __init__(self, upstream: str):
        self.lost: list[str] = []
        self.seen: list[tuple[str, str, int]] = []
        outer, target = self, urlsplit(upstream)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection(target.hostname, target.port, timeout=60)
                connection.putrequest(
                    self.command, self.path, skip_host=True, skip_accept_encoding=True
                )
                for name, value in self.headers.items():
                    if name.lower() not in HOP_HEADERS:
                        connection.putheader(name, value)
                connection.endheaders(body or None)
                answer = connection.getresponse()
                content = answer.read()
                outer.seen.append((self.command, self.path, answer.status))
                is_lock = self.command == "PUT" and ".tflock" in self.path
                if is_lock and not outer.lost:
                    outer.lost.append(self.path)
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_HEADERS | {"content-length"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


class ResolvesToThisMachine:
    """A CONNECT proxy that leads every name to 127.0.0.1 (and keeps the port): the host names of a
    published backend block reach a local server without a line in anybody's hosts file. TLS runs
    from end to end through it."""

    def __init__(self):
        self.hosts: set[str] = set()
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, authority, _ = self.rfile.readline().decode().split(" ", 2)
                while self.rfile.readline().strip():
                    pass
                host, port = authority.rsplit(":", 1)
                if method != "CONNECT":
                    self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
                    return
                outer.hosts.add(host)
                with socket.create_connection(("127.0.0.1", int(port))) as upstream:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    _tunnel(self.connection, upstream)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Threads(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


def _tunnel(client: socket.socket, upstream: socket.socket) -> None:
    other = {client: upstream, upstream: client}
    while True:
        for ready in select.select(list(other), [], [])[0]:
            try:
                data = ready.recv(BUFFER_BYTES)
                if not data:
                    return
                other[ready].sendall(data)
            except OSError:
                return
