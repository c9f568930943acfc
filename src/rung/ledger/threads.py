"""Blocking work off the event loop, in a thread that cannot keep the process alive."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T], timeout_s: float) -> T:
    """The result of `work`. `TimeoutError` after `timeout_s`: the thread is then left to itself.

    Not asyncio.to_thread: its threads are joined at exit, so that one database that hangs would
    hang the interpreter.
    """
    future: Future[T] = Future()
    thread = threading.Thread(target=_run, args=(work, future), name="rung-ledger-io", daemon=True)
    thread.start()
    return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)


def _run(work: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - handed to the one who awaits it
        future.set_exception(error)
    else:
        future.set_result(result)
