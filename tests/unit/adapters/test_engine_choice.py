import subprocess
import sys

import pytest

from adapters.engines import choice
from adapters.engines.transformers import loading


@pytest.mark.parametrize(("engine", "expected"), [("llamacpp", False), ("transformers", True)])
def test_a_setting_decides_without_a_look_at_the_machine(monkeypatch, engine, expected):
    monkeypatch.setattr(choice, "_has_driver", lambda: pytest.fail("looked"))
    assert choice.wants_transformers(engine) is expected


@pytest.mark.parametrize(
    ("driver", "card", "expected"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_auto_is_transformers_where_torch_sees_a_card(monkeypatch, driver, card, expected):
    monkeypatch.setattr(choice, "_has_driver", lambda: driver)
    monkeypatch.setattr(loading, "has_graphics_card", lambda: card)
    assert choice.wants_transformers("auto") is expected


def test_without_a_driver_torch_is_not_loaded():
    code = (
        "import sys; from adapters.engines import choice; choice._has_driver = lambda: False\n"
        "assert not choice.wants_transformers('auto'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
