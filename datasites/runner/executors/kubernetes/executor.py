"""The executor: one job for each worker, with the frames on a websocket of the API server's."""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.executors import staging
from datasites.runner.executors.base import Launch, Stop
from datasites.runner.executors.options import KubernetesOptions
from datasites.runner.executors.printed import Printed
from datasites.runner.executors.relay import Gone, Relay

if TYPE_CHECKING:
    from kubernetes.stream.ws_client import WSClient

    from datasites.runner.executors.kubernetes.api import Api

_LOOK_SECONDS = 0.5  # between two looks at a job that has not begun
_OUT, _ERR = 1, 2  # channels
_INSTALL = "Install the client: pip install 'wardround[kubernetes]'."


@dataclass(frozen=True)
class Kubernetes:
    """The `Executor` of a Kubernetes cluster. datasite: whose it is, by which its jobs are told from others'."""

    options: KubernetesOptions
    datasite: str

    @property
    def name(self) -> str:
        """See `Executor.name`."""
        return "kubernetes"

    def start(self, launch: Launch, should_stop: Stop) -> Relay:
        """See `Executor.start`. The network policy is there before the job is."""
        from datasites.runner.executors.kubernetes import objects

        api, seconds = self._api(), 60 * self.options.minutes_for(launch.limits)
        stage = staging.put(self.options.shared, self.datasite, launch)

        def end() -> None:
            api.remove(stage.name)
            stage.remove()
            api.close()

        try:
            api.forbid_network(objects.network_policy(stage))
            api.create(objects.job(self.options, stage, launch, self._user(), seconds))
            pod = self._pod(api, stage.name, should_stop)
            socket = api.exec(pod, objects.errand(launch).argv(self.options.python))
        except BaseException:
            end()
            raise
        printed = Printed(launch.log, launch.limits.file_bytes)
        relay = Relay(_Exec(socket, printed, end, lambda: api.why_ended(stage.name)), printed, seconds)
        relay.wait(launch.limits.start_seconds, should_stop, str)
        return relay

    def problem(self) -> tuple[str, str]:
        """See `Executor.problem`."""
        if not os.access(self.options.shared, os.W_OK | os.X_OK) or not self.options.shared.is_dir():
            return (
                f"The folder shared with the cluster's nodes, {self.options.shared}, cannot be written.",
                "Mount the volume here too, and give it to the agent's user.",
            )
        try:
            self._user()
            api = self._api()
            try:
                missing = api.missing_rights()
            finally:
                api.close()
        except NotStarted as why:
            return why.message, why.hint
        if missing:
            return (
                f"The agent's account may not do this in the namespace {self.options.namespace}: {', '.join(missing)}.",
                "Bind it to a role that may; docs/executors.md has one.",
            )
        return "", ""

    def tidy(self) -> None:
        """See `Executor.tidy`."""
        left = list(staging.leftovers(self.options.shared, self.datasite))
        if not left:
            return
        with contextlib.suppress(NotStarted):
            api = self._api()
            for stage in left:
                api.remove(stage.name)
                stage.remove()
            api.close()

    def _api(self) -> Api:
        try:
            from datasites.runner.executors.kubernetes.api import Api
        except ImportError:
            raise NotStarted("The client of Kubernetes is not installed.", _INSTALL) from None
        return Api(self.options)

    def _user(self) -> int:
        user = self.options.user or os.getuid()
        if user == 0:
            raise NotStarted(
                "The agent runs as root, and its jobs must not.", "Set kubernetes.user, or give the agent a user."
            )
        return user

    def _pod(self, api: Api, job: str, should_stop: Stop) -> str:
        until = time.monotonic() + self.options.queue_seconds
        while True:
            pod, waits_for = api.pod(job)
            if pod:
                return pod
            if time.monotonic() > until:
                raise NotStarted(
                    f"The cluster did not start the job within {self.options.queue_seconds:,.0f} seconds: {waits_for}.",
                    "See what else runs there, or raise queue_seconds.",
                )
            if should_stop():
                raise WorkerFailed(Code.STOPPED)
            time.sleep(_LOOK_SECONDS)


class _Exec:
    """The `Line` through `exec` of the API: channels of one websocket."""

    def __init__(self, socket: WSClient, printed: Printed, end: Callable[[], None], why: Callable[[], str]) -> None:
        self._socket, self._printed, self._end, self._why = socket, printed, end, why
        self._ending = threading.Lock()
        self._ended = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """See `Line.descriptors`."""
        return (self._socket.sock.sock.fileno(),)

    @property
    def pid(self) -> int:
        """See `Line.pid`."""
        return 0

    def send(self, data: bytes) -> None:
        """See `Line.send`."""
        from websocket import WebSocketException

        try:
            self._socket.write_stdin(data)
        except (WebSocketException, OSError):
            raise Gone(self._sentence()) from None

    def receive(self) -> bytes:
        """See `Line.receive`; what a far end that breaks says goes to the log."""
        from websocket import WebSocketException

        try:
            self._socket.update()
            while self._pending():
                self._socket.update()
        except (WebSocketException, OSError, AttributeError):  # it closes its socket where the other side does
            raise Gone(self._sentence()) from None
        came: dict[int, bytes] = {channel: self._socket.read_channel(channel) or b"" for channel in (_OUT, _ERR)}
        if came[_ERR]:
            self._printed.write(came[_ERR])
        if not came[_OUT] and not self._socket.is_open():
            raise Gone(self._sentence())
        return came[_OUT]

    def cancel(self) -> None:
        """See `Line.cancel`."""
        with self._ending:
            if not self._ended:
                self._ended = True
                self._end()

    def close(self) -> None:
        """See `Line.close`."""
        with contextlib.suppress(Exception):  # whatever state the websocket is in
            self._socket.close()
        with contextlib.suppress(Exception):
            self._socket.sock.shutdown()

    def _pending(self) -> bool:
        """What TLS has read ahead is not seen by waiting for the socket."""
        inner = self._socket.sock.sock
        return isinstance(inner, ssl.SSLSocket) and inner.pending() > 0

    def _sentence(self) -> str:
        if self._ended:  # by the agent
            return ""
        return self._why() or "The line to the job on the cluster was cut."
