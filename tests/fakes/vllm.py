"""What a vLLM keeps between requests: whether it sleeps, and how busy it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from tests.fakes.formats import Call

if TYPE_CHECKING:
    from tests.fakes.server import FakeServer

WINDOW = 16_384
_NOT_FOUND = {"detail": "Not Found"}


class Vllm:
    """Gives `server` the routes of a vLLM; a second one replaces the first.

    `is_dev`: whether it was started with VLLM_SERVER_DEV_MODE=1. Falling asleep and waking up end
    `slowness` looks at `/is_sleeping` later. `running` requests end one with each look at
    `/metrics`, and are aborted by a sleep that comes before.
    """

    def __init__(
        self,
        server: FakeServer,
        *,
        is_dev: bool = True,
        has_metrics: bool = True,
        has_tokenizer: bool = True,
        slowness: int = 1,
    ) -> None:
        self.is_dev = is_dev
        self.has_metrics = has_metrics
        self.has_tokenizer = has_tokenizer
        self.slowness = slowness
        self.is_sleeping = False
        self.running = 0
        self.waiting = 0
        self.aborted = 0
        self.sleeps: list[dict[str, str]] = []
        self._looks_left = 0
        # Only what is below /v1 asks for the key.
        server.public_paths |= {"/health", "/version", "/metrics", "/tokenize"}
        server.public_paths |= {"/sleep", "/wake_up", "/is_sleeping"}
        server.handlers |= {
            ("POST", "/sleep"): self._sleep,
            ("POST", "/wake_up"): self._wake_up,
            ("GET", "/is_sleeping"): self._look,
            ("GET", "/metrics"): self._metrics,
            ("POST", "/tokenize"): self._tokenize,
        }

    async def _sleep(self, _: FakeServer, request: web.Request, __: Call) -> web.Response:
        if not self.is_dev:
            return web.json_response(_NOT_FOUND, status=404)
        self.sleeps.append(dict(request.query))
        self.aborted, self.running = self.aborted + self.running, 0
        self.is_sleeping, self._looks_left = True, self.slowness
        return web.Response()

    async def _wake_up(self, _: FakeServer, __: web.Request, ___: Call) -> web.Response:
        if not self.is_dev:
            return web.json_response(_NOT_FOUND, status=404)
        self.is_sleeping, self._looks_left = False, self.slowness
        return web.Response()

    async def _look(self, _: FakeServer, __: web.Request, ___: Call) -> web.Response:
        if not self.is_dev:
            return web.json_response(_NOT_FOUND, status=404)
        is_there = self._looks_left == 0
        self._looks_left -= not is_there
        return web.json_response({"is_sleeping": self.is_sleeping is is_there})

    async def _metrics(self, _: FakeServer, __: web.Request, ___: Call) -> web.Response:
        if not self.has_metrics:
            return web.json_response(_NOT_FOUND, status=404)
        labels = 'engine="0",model_name="tiny {1b}"'
        text = (
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{labels}}} {float(self.running)}\n"
            f"vllm:num_requests_waiting{{{labels}}} {float(self.waiting)}\n"
            f"vllm:kv_cache_usage_perc{{{labels}}} 0.25\n"
            f'vllm:request_success_total{{finished_reason="stop",{labels}}} 1e+3\n'
        )
        self.running = max(0, self.running - 1)
        return web.Response(text=text)

    async def _tokenize(self, _: FakeServer, __: web.Request, call: Call) -> web.Response:
        if not self.has_tokenizer:
            return web.json_response(_NOT_FOUND, status=404)
        words = sum(len(message["content"].split()) for message in call.body["messages"])
        count = words + 10 * len(call.body.get("tools", []))
        if count > WINDOW:
            message = f"This model's maximum context length is {WINDOW} tokens."
            error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
            return web.json_response({"error": error}, status=400)
        tokens = list(range(count))
        return web.json_response({"count": count, "max_model_len": WINDOW, "tokens": tokens})
