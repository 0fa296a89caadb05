"""A person decides in the middle of a program, which waits for the answer without a process, for up to three days.

    capsule run examples/approval/main.py --run-id refund-1017      # says what it would do, and is suspended
    capsule signal refund-1017 approval '{"ok": true}'              # goes on with the answer
"""

from capsule import SignalTimeout, task, wait_signal


@task(compute="LOW", ram="64MB")
def propose(order: int) -> dict:
    """Stands for a model that reads a customer's letter and decides what to do."""
    return {"order": order, "cents": 12900}


@task(compute="LOW", ram="64MB", idempotent=False, max_retries=0)
def refund(order: int, cents: int) -> str:
    """Stands for what must not happen twice, or without a person's consent."""
    return f"order {order}: {cents / 100:.2f} refunded"


@task(compute="LOW", ram="64MB")
def main(order: int = 1017) -> str:
    action = propose(order)
    print(f"May I refund {action['cents'] / 100:.2f} for order {order}?")
    try:
        answer = wait_signal("approval", timeout="3d")
    except SignalTimeout:
        return f"order {order}: nobody answered"
    if not answer["ok"]:
        return f"order {order}: not refunded, {answer.get('reason', 'without a reason')}"
    return refund(**action)
