"""llama.cpp's threads, awake while they wait for each other, and only then."""

import json
import subprocess
import sys

import pytest

LOOK = """
import json, os
os.environ.pop("OMP_WAIT_POLICY", None)
os.environ["GOMP_SPINCOUNT"] = "7"
before = dict(os.environ)
from adapters.engines import llama_server
seen = {}
class Loader:
    def find_spec(self, name, path, target=None):
        if name == "xllamacpp" and not seen:
            seen.update(os.environ)
import sys
sys.meta_path.insert(0, Loader())
llama_server._load_library()
names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
print(json.dumps([[seen.get(name) for name in names], dict(os.environ) == before]))
"""


@pytest.mark.slow
def test_the_library_is_told_how_to_wait_when_it_is_loaded_and_nobody_else_is():
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    seen, restored = json.loads(done.stdout.splitlines()[-1])
    assert seen == ["active", "7"], "what the user has set goes first"
    assert restored
