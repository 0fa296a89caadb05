"""GETs from one task or from many. bench/run puts a capsule.toml beside it that allows the server."""

import time

from capsule import task
from capsule.http import get


@task(compute="HIGH")
def fetch(url: str, requests: int) -> int:
    return sum(len(get(url).content) for _ in range(requests))


@task(compute="HIGH")
def main(url: str, tasks: int, requests: int) -> int:
    handles = [fetch.start(url, requests) for _ in range(tasks)]
    total = sum(handle.result() for handle in handles)
    assert total == 1024 * tasks * requests
    return total


@task(compute="HIGH")
def latency(url: str, requests: int) -> list[float]:
    """The milliseconds of each request, over a connection that is kept."""
    get(url)
    times = []
    for _ in range(requests):
        start = time.perf_counter()
        response = get(url)
        times.append((time.perf_counter() - start) * 1e3)
        assert len(response.content) == 1024
    return times
