"""Operations as hostile guests make them: each is answered or refused, and nothing breaks."""

import json
from pathlib import Path

import pytest

GUEST = Path(__file__).resolve().parents[1] / "guest" / "hostcalls.py"

ANSWERS = {"ok", "refused", "unknown", "bad_input", "not_found", "task_error", "bad_input closed", "bad_input length"}
ANSWERS |= {f"bad_input {kind}" for kind in ("method", "url", "header", "redirect", "timeout")}
ANSWERS |= {f"http_error {kind}" for kind in ("connect", "timeout", "closed", "redirect", "limit")}
ANSWERS |= {"policy policy", "cancelled", "cancelled cancelled"}


@pytest.mark.parametrize("seed", range(4))
def test_operations_of_any_shape(capsule, seed):
    done = capsule("run", GUEST, str(seed), "2000")
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert set(seen) <= ANSWERS
    assert {"ok", "refused", "unknown", "bad_input closed", "http_error connect"} <= set(seen)
