"""urllib.request, http.client and xmlrpc.client in a sandbox, as Python's documentation says."""

import http.client
import io
import json
import os
import urllib.error
import urllib.request
import xmlrpc.client

from capsule import task


def error_of(function, *arguments, **keywords):
    try:
        return repr(function(*arguments, **keywords))
    except urllib.error.HTTPError as e:
        return [type(e).__name__, e.code, e.read().decode()]
    except urllib.error.URLError as e:
        return [type(e).__name__, type(e.reason).__name__]
    except Exception as e:
        return [type(e).__name__]


def sent(response):
    echo = json.load(response)
    echo["headers"] = {name.lower(): value for name, value in echo["headers"]}
    return echo


@task(max_retries=0)
def opens(base):
    with urllib.request.urlopen(f"{base}/bytes?n=100000") as answer:
        head = [answer.status, answer.reason, answer.geturl(), answer.headers["content-type"]]
        parts = [len(answer.read(10)), len(answer.read1(5)), len(answer.read()), answer.read()]
    with urllib.request.urlopen(f"{base}/lines") as answer:
        lines = [answer.readline().decode(), *(line.decode() for line in answer)]
    request = urllib.request.Request(f"{base}/echo", data=b"a=1", headers={"X-A": "b"}, method="PUT")
    echo = sent(urllib.request.urlopen(request, timeout=10))
    posted = sent(urllib.request.urlopen(f"{base}/echo", b"a=1"))
    file = urllib.request.Request(f"{base}/echo", data=io.BytesIO(b"x" * 5), headers={"Content-Length": "5"})
    chunks = urllib.request.Request(f"{base}/echo", data=iter([b"ab", b"c"]))
    return [
        head,
        [len(part) if isinstance(part, bytes) else part for part in parts],
        lines,
        [echo["method"], echo["body"], echo["headers"]["x-a"], echo["headers"]["user-agent"].split("/")[0]],
        [posted["method"], posted["headers"]["content-type"]],
        sent(urllib.request.urlopen(file))["body"],
        sent(urllib.request.urlopen(chunks))["body"],
        [urllib.request.urlopen(f"{base}/{one}").read()[:18].decode() for one in ("gzip", "chunked", "empty", "old")],
    ]


@task(max_retries=0)
def goes_on(base):
    """Redirects, openers, errors."""
    opener = urllib.request.build_opener()
    opener.addheaders = [("X-Mine", "1")]
    urllib.request.install_opener(opener)
    name = "out/file"
    _, headers = urllib.request.urlretrieve(f"{base}/bytes?n=1000", name)
    cookies = urllib.request.urlopen(f"{base}/cookies").headers.get_all("set-cookie")
    return [
        sent(urllib.request.urlopen(f"{base}/redirect/302?to=/echo"))["headers"]["x-mine"],
        urllib.request.urlopen(f"{base}/redirect/307?to=/echo").geturl() == f"{base}/echo",
        [os.path.getsize(name), headers["content-length"]],
        cookies,
        error_of(urllib.request.urlopen, f"{base}/status/404"),
        error_of(urllib.request.urlopen, f"{base}/status/500"),
        error_of(urllib.request.urlopen, f"{base}/circle")[:2],
        error_of(urllib.request.urlopen, f"{base}/never", timeout=0.1),
        error_of(lambda: urllib.request.urlopen(f"{base}/slow", timeout=20).read(3)),
        error_of(urllib.request.urlopen, f"{base}/nothing"),
        error_of(urllib.request.urlopen, "http://127.0.0.1:1/"),
        error_of(urllib.request.urlopen, "ftp://127.0.0.1/"),
        error_of(urllib.request.urlopen, "gopher://127.0.0.1/"),
    ]


@task(max_retries=0)
def client(base):
    address = base.partition("//")[2]
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("POST", "/echo", body=b"hello", headers={"X-A": "b"})
    first = connection.getresponse()
    echo = [first.status, first.version, sent(first)["body"], first.isclosed()]
    connection.putrequest("POST", "/echo")
    connection.putheader("Content-Length", "6")
    connection.putheader("X-Two", "a", "b")
    connection.endheaders()
    connection.send(b"by ")
    connection.send(b"hand")
    second = sent(connection.getresponse())
    connection.request("HEAD", "/echo")
    third = connection.getresponse()
    third.read()
    connection.close()
    return [
        echo,
        [second["method"], second["body"], second["headers"]["x-two"]],
        [third.status, third.getheader("Content-Type")],
        error_of(http.client.HTTPConnection(address).getresponse),
        error_of(http.client.HTTPConnection(address).request, "GET", "/a b"),
        error_of(http.client.HTTPConnection(address).request, "GET", "/", headers={"a": "b\r\nc"}),
        error_of(http.client.HTTPConnection(address).request, "GET", "/", headers={"Host": "elsewhere.example"}),
        error_of(http.client.HTTPConnection(address).request, "GET", "http://elsewhere.example/"),
        error_of(http.client.HTTPConnection(address).set_tunnel, "elsewhere.example"),
        error_of(xmlrpc.client.ServerProxy(f"{base}/echo").method, 1),
    ]


@task(max_retries=0)
def proxies(base):
    """What the environment says about proxies is none of a guest's business."""
    assert os.environ["http_proxy"]
    handler = urllib.request.ProxyHandler({"http": "http://127.0.0.1:1"})
    return [
        sent(urllib.request.urlopen(f"{base}/echo"))["target"],
        error_of(urllib.request.build_opener(handler).open, f"{base}/echo"),
    ]


@task(max_retries=3)
def refused():
    urllib.request.urlopen("http://10.0.0.1/")


@task
def main():
    return "see tests/cli/test_http.py"
