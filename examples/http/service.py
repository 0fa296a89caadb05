"""A shop that answers on this machine, for the example beside it: `python3 service.py`. No task, plain Python."""

import http.server
import json
import sys

PRICES = {"pen": 120, "paper": 450, "ink": 900}
KEY = "open sesame"


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        item = self.path.rpartition("/")[2]
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, {"error": "who are you?"})
        elif item not in PRICES:
            self.answer(404, {"error": f"we don't sell {item}"})
        else:
            self.answer(200, {"item": item, "cents": PRICES[item]})

    def answer(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8377
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Shop)
    print(f"listening on port {server.server_port}", flush=True)
    server.serve_forever()
