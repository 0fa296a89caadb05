"""Tasks that call tasks. Every call gets a sandbox of its own, and what goes wrong in one stays there."""

from capsule import TaskError, context, task

ORDERS = [
    {"id": 1, "items": [("pen", 3), ("paper", 2)]},
    {"id": 2, "items": [("ink", 1)]},
    {"id": 3, "items": [("unicorn", 1)]},
]
PRICES = {"pen": 120, "paper": 450, "ink": 900}


@task(compute="LOW", ram="64MB", max_retries=0)
def price(item: str, count: int) -> int:
    """What some of one item cost, in cents. Raises KeyError for what isn't sold."""
    return PRICES[item] * count


@task(compute="LOW", ram="64MB", max_retries=0)
def total(order: dict) -> int:
    """Calls a task for each item; a failure in one of them comes through to whoever called this."""
    return sum(price(item, count) for item, count in order["items"])


@task(compute="LOW", ram="64MB", max_retries=2)
def deliver(order_id: int, cents: int) -> str:
    """Fails once, as a service would that is starting up; Capsule tries again."""
    attempt = context().attempt
    if attempt == 1:
        raise ConnectionError("no answer")
    return f"order {order_id}: {cents / 100:.2f} delivered at attempt {attempt}"


@task(compute="LOW", ram="64MB")
def main() -> list[str]:
    lines = []
    for order in ORDERS:
        try:
            lines.append(deliver(order["id"], total(order)))
        except TaskError as error:
            lines.append(f"order {order['id']}: refused ({error.type} in {error.task_name}: {error.message})")
    return lines
