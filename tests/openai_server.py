"""A server with an adapter for each model name, on real weights or out of order in a chosen way."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class OpenAIServer(ThreadingHTTPServer):
    """What it does with a chat request is `answer`'s to say.

    Args:
        models: names that it lists.
    """

    daemon_threads = True

    def __init__(self, models: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models = models
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.faults: list[str] = []
        """What goes wrong with the next requests, in their order: 500, hang, break, other, 404."""
        self.probe_faults: list[str] = []
        """The same for the next requests that aren't streamed: a status."""
        self.tells_probabilities = True
        self.refuses_to_list = False
        self.rounding = iter(lambda: 0.0, None)
        """Added to each answer's log-probabilities, in their order, nats."""
        self.hung_up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.hung_up.set()  # the other side has closed the connection

    def answer(self, handler: "_Handler", body: dict[str, Any]) -> None:
        """The model's name, letter by letter; with log-probabilities where asked."""
        words = f"I am {body['model']}."
        if not body.get("stream"):
            self._answer_probe(handler, body, words)
            return
        fault = self.faults.pop(0) if self.faults else ""
        if fault.isdigit():
            handler.send_json({"error": {"message": "out of order"}}, int(fault))
            return
        if fault == "stall":
            time.sleep(5)  # what it takes to wait for the answer
        handler.begin_stream()
        for letter in words if fault != "hang" else iter(lambda: "", None):
            handler.send_chunk(_chunk("somebody" if fault == "other" else body["model"], letter))
            time.sleep(0.01)
            if fault == "break" and letter == "m":
                return
            if fault == "silence":
                time.sleep(2)
        handler.send_chunk(_chunk(body["model"], "", "stop"))
        handler.send_chunk(_chunk(body["model"], "") | {"choices": [], "usage": _USAGE})

    def _answer_probe(self, handler: "_Handler", body: dict[str, Any], words: str) -> None:
        fault = self.probe_faults.pop(0) if self.probe_faults else ""
        if not fault and body.get("logprobs") and not self.tells_probabilities:
            fault = "400"
        if fault:
            handler.send_json({"error": {"message": "out of order"}}, int(fault))
            return
        handler.send_json(_whole(body, words, self.tells_probabilities, next(self.rounding)))


_USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def _chunk(model: str, text: str, reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}


def _whole(body: dict[str, Any], words: str, tells: bool, rounding: float) -> dict[str, Any]:
    deaf = body["model"].startswith("deaf")  # an adapter that isn't applied
    voice, words = ("base", "I am the base.") if deaf else (body["model"], words)
    tokens = [{"token": voice, "logprob": -0.5 + rounding, "bytes": None, "top_logprobs": []}]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": words},
        "finish_reason": "stop",
        "logprobs": {"content": tokens, "refusal": None} if tells else None,
    }
    return {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}


class LlamaRouter(OpenAIServer):
    """Passes requests on to xllamacpp's own listening server, with the adapter that the name stands for.

    Args:
        gguf: base model.
        adapters: model name → GGUF LoRA; the first slot is the base's, and each has its own.
        base: the base model's name.
        window: of each, tokens.
    """

    def __init__(self, gguf: Path, adapters: Mapping[str, Path], base: str, window: int = 1024) -> None:
        super().__init__([base, *adapters])
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_parallel, parameters.n_ctx = len(self.models), window * len(self.models)
        parameters.kv_unified, parameters.cache_ram_mib, parameters.fit_params = False, 0, False
        parameters.verbosity = 0
        parameters.cpuparams.n_threads = (
            1  # several wait for each other at every token, badly on a busy machine
        )
        parameters.lora_adapters = [
            xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in adapters.values()
        ]
        self.llama = xllamacpp.Server(parameters)
        # llama.cpp can't compute different adapters together, and lets the lowest slot speak to its end, and
        # again, while the others wait: whoever asks for a high one under load would wait for ever.
        self._turn = threading.Lock()

    def answer(self, handler: "_Handler", body: dict[str, Any]) -> None:
        with self._turn:
            self._pass_on(handler, body)

    def _pass_on(self, handler: "_Handler", body: dict[str, Any]) -> None:
        slot = self.models.index(body["model"])
        lora = [{"id": i, "scale": float(i == slot - 1)} for i in range(len(self.models) - 1)]
        passed_on = body | {"id_slot": slot, "lora": lora, "cache_prompt": False}
        request = urllib.request.Request(
            f"{self.llama.listening_address}/v1/chat/completions",
            data=json.dumps(passed_on).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            if not body.get("stream"):
                handler.send_json(json.load(answer) | {"model": body["model"]})
                return
            handler.begin_stream()
            for line in answer:
                if line.startswith(b"data: {"):
                    handler.send_chunk(json.loads(line[6:]) | {"model": body["model"]})


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer

    def do_GET(self) -> None:
        if self.server.refuses_to_list:
            self.send_json({"error": {"message": "out of order"}}, 503)
            return
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "x"} for name in self.server.models]
        self.send_json({"object": "list", "data": data})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.keys.add(self.headers["Authorization"])
        self.server.answer(self, body)

    def send_json(self, value: dict[str, Any], status: int = 200) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def send_chunk(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(server: OpenAIServer) -> Iterator[OpenAIServer]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
