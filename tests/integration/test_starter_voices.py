"""A new home and the embedded model: the adapters that come with Elara answer from the first question."""

import pytest
from api_server import client_of, serving

from adapters.starters import list_trained
from db.home import Home
from elara_ui.services import build_services
from elara_ui.settings import Settings


@pytest.mark.slow
def test_a_new_home_answers_in_every_voice_and_says_which(home: Home, embedded_gguf) -> None:
    (home.models / embedded_gguf.name).symlink_to(embedded_gguf)
    services = build_services(Settings.read(home=home.root, starters=True, context_tokens=512, slots=1))
    try:
        assert services.serving.engine().adapters == {f"{path.name}@1" for path in list_trained()}
        with serving(services) as address:
            client = client_of(address)
            for audience in (path.name for path in list_trained()):
                answer = client.chat.completions.create(
                    model=f"elara-{audience}",
                    messages=[{"role": "user", "content": "What is angina?"}],
                    max_tokens=6,
                )
                assert answer.elara["adapter"] == f"{audience}@1"  # type: ignore[attr-defined]
                assert answer.choices[0].message.content
    finally:
        services.close()
