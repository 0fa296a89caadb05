"""Requests from tasks, in parallel, with a key that no task ever sees.

    python3 examples/http/service.py &
    SHOP_KEY='open sesame' capsule run examples/http/main.py

capsule.toml beside this file says which host may be reached, and that SHOP_KEY is a secret.
"""

import os

from capsule import task
from capsule.http import NotAllowed, get

SHOP = "http://127.0.0.1:8377/prices/"


@task(compute="LOW", ram="64MB", timeout="10s", env_variables=["SHOP_KEY"])
def price(item: str) -> str:
    # In here SHOP_KEY is a placeholder. The host puts the key in its place on the way out, for this host alone.
    response = get(SHOP + item, headers={"Authorization": f"Bearer {os.environ['SHOP_KEY']}"}, timeout=5)
    answer = response.json()
    return f"{item}: {answer['cents'] / 100:.2f}" if response.ok() else f"{item}: {answer['error']}"


@task(compute="LOW", ram="64MB", env_variables=["SHOP_KEY"])
def look() -> str:
    return f"the key, as a task sees it: {os.environ['SHOP_KEY']}"


@task(compute="LOW", ram="64MB")
def wander() -> str:
    try:
        return get("http://127.0.0.1:22/").text()
    except NotAllowed:
        return "another port of this machine: not allowed"


@task
def main() -> list[str]:
    return [*price.map(["pen", "paper", "ink", "unicorn"]), look(), wander()]
