"""CPU-bound Python: arithmetic, dicts, strings, objects, json, re, sort.

Runs natively (`python3 cpu.py` prints the milliseconds) and as a task (returns them).
"""

import json
import re
import sys
import time


class Point:
    def __init__(self, x: float, y: float) -> None:
        self.x = x
        self.y = y

    def moved(self, other: "Point") -> "Point":
        return Point(self.x + other.x, self.y - other.y)


def arithmetic() -> int:
    a, b = 0, 1
    for i in range(400_000):
        a, b = b, (a * 31 + b * 17 + i) % 1_000_003
    return a


def dicts() -> int:
    counts: dict[int, int] = {}
    for i in range(200_000):
        key = (i * 7919) % 5003
        counts[key] = counts.get(key, 0) + i
    return sum(counts.values())


def strings() -> int:
    parts = [f"{i:x}-{i * 3}" for i in range(60_000)]
    text = ",".join(parts)
    return len(text.replace("-", "").upper().split(","))


def objects() -> float:
    point, step = Point(0.0, 0.0), Point(0.5, 0.25)
    for _ in range(120_000):
        point = point.moved(step)
    return point.x + point.y


def jsons() -> int:
    data = {"items": [{"id": i, "name": f"name {i}", "tags": ["a", "b", str(i)]} for i in range(4_000)]}
    total = 0
    for _ in range(4):
        total += len(json.loads(json.dumps(data))["items"])
    return total


def regexes() -> int:
    text = " ".join(f"user{i}@host{i % 97}.example.com wrote line {i}" for i in range(8_000))
    return len(re.findall(r"(\w+)@([a-z0-9.]+)", text)) + len(re.sub(r"\d+", "#", text))


def sorting() -> int:
    values = [(i * 7_368_787) % 1_000_033 for i in range(120_000)]
    values.sort()
    return sorted(values, key=lambda v: -v)[0]


def mix() -> float:
    """Runs all of it; returns milliseconds."""
    start = time.perf_counter()
    for part in (arithmetic, dicts, strings, objects, jsons, regexes, sorting):
        part()
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    mix()
    print(min(mix() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1)))
else:
    from capsule import task

    @task(compute="HIGH")
    def main(rounds: int) -> float:
        mix()
        return min(mix() for _ in range(rounds))
