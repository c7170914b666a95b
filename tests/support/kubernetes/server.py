"""A small server that plays the paths of the API that jobs need, to the real client.

What is sent must be an object of the API to the last field, or the request fails. `exec` really runs its command, as a
process of this machine: paths of the pod stand for those of its volumes, as the job's own mounts say. What a cluster
does besides, such as holding to the security context or the network policy, it does not do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from pathlib import Path

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from datasites.runner.executors.kubernetes.objects import RUN
from tests.support.kubernetes import answers
from tests.support.kubernetes.answers import Object, checked

TOKEN = "token-of-the-agent"


class Cluster:
    """Objects by kind and name; `pod_status` is what every pod is in; `refusals` by kind."""

    def __init__(self, folder: Path) -> None:
        self.jobs: dict[str, Object] = {}
        self.policies: dict[str, Object] = {}
        self.made: list[Object] = []  # all that ever was, in order
        self.removed: list[str] = []
        self.pod_status: Object | None = answers.RUNNING
        self.events: list[tuple[str, str]] = []
        self.refusals: dict[str, Object] = {}
        self.denied: set[str] = set()
        self.lost_policy = False
        self.processes: list[subprocess.Popen[bytes]] = []
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        self.kubeconfig = folder / "kubeconfig"

    @property
    def empty(self) -> bool:
        return not self.jobs and not self.policies and all(one.poll() is not None for one in self.processes)

    # the paths

    async def create(self, request: Request) -> JSONResponse:
        kind, body = request.path_params["kind"], checked(await request.json())
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return _answer(answers.status(401, "Unauthorized", "Unauthorized"))
        if kind in self.refusals:
            return _answer(self.refusals[kind])
        if kind == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            allowed = f"{asked['verb']} {asked['resource']}" not in self.denied
            return JSONResponse(checked({**body, "status": {"allowed": allowed}}), 201)
        self.made.append(body)
        {"jobs": self.jobs, "networkpolicies": self.policies}[kind][body["metadata"]["name"]] = body
        if kind == "networkpolicies" and self.lost_policy:
            body = {**body, "spec": {**body["spec"], "policyTypes": ["Ingress"]}}
        return JSONResponse(body, 201)

    async def delete(self, request: Request) -> JSONResponse:
        kind, name = request.path_params["kind"], request.path_params["name"]
        store = {"jobs": self.jobs, "networkpolicies": self.policies}[kind]
        if name not in store:
            return _answer(answers.status(404, "NotFound", f"{kind} {name!r} not found"))
        if kind == "jobs":
            for process in self.processes:
                process.kill()
        del store[name]
        self.removed.append(kind)
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})

    async def list(self, request: Request) -> JSONResponse:
        if request.path_params["kind"] == "events":
            return JSONResponse(checked(answers.events(self.events)))
        run = request.query_params["labelSelector"].removeprefix(f"{RUN}=")
        found = []
        if run in self.jobs and self.pod_status is not None:
            labels = self.jobs[run]["spec"]["template"]["metadata"]["labels"]
            found = [answers.pod(f"{run}-x7k2p", run, labels, self.pod_status)]
        return JSONResponse(checked(answers.pods(found)))

    async def exec(self, socket: WebSocket) -> None:
        """Channels 0, 1 and 2 are those of a process; 3 tells its end (v4.channel.k8s.io)."""
        assert "v4.channel.k8s.io" in socket.scope["subprotocols"]
        await socket.accept("v4.channel.k8s.io")
        asked = socket.query_params
        given = {name: asked[name].lower() for name in ("stdin", "stdout", "stderr", "tty", "container")}
        assert given == {"stdin": "true", "stdout": "true", "stderr": "true", "tty": "false", "container": "worker"}
        (job,) = self.jobs.values()
        argv = [self._outside(job, word) for word in asked.getlist("command")]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(argv, env={}, cwd="/", start_new_session=True, **pipes)
        self.processes.append(process)
        loop = asyncio.get_running_loop()

        async def pump(channel: int, stream) -> None:
            while data := await loop.run_in_executor(None, os.read, stream.fileno(), 1 << 15):
                await socket.send_bytes(bytes([channel]) + data)

        outs = asyncio.gather(pump(1, process.stdout), pump(2, process.stderr))
        ins = asyncio.ensure_future(self._feed(socket, process))
        await asyncio.wait([outs, ins], return_when=asyncio.FIRST_COMPLETED)
        if ins.done():  # the client went: standard input is at its end
            process.stdin.close()
        await outs
        ins.cancel()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        process.wait()
        try:
            await socket.send_bytes(b'\3{"metadata":{},"status":"Success"}')
            await socket.close()
        except (RuntimeError, WebSocketDisconnect):
            pass

    async def _feed(self, socket: WebSocket, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                data = await socket.receive_bytes()
                assert data[0] == 0
                await loop.run_in_executor(None, _write, process.stdin.fileno(), data[1:])
        except (WebSocketDisconnect, BrokenPipeError, RuntimeError):
            return

    def _outside(self, job: Object, word: str) -> str:
        """A word of the command with the pod's paths as this machine calls them."""
        pod = job["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for mount in pod["containers"][0]["volumeMounts"]:
            volume = volumes[mount["name"]]
            outside = str(self._scratch)
            if "hostPath" in volume:
                assert mount["readOnly"]
                outside = f"{volume['hostPath']['path']}/{mount['subPath']}"
            inside = mount["mountPath"]
            word = word.replace(f'"{inside}/', f'"{outside}/').replace(f'"{inside}"', f'"{outside}"')
        return word


class Server:
    """The cluster's API on a port of this machine, for as long as the `with` block."""

    def __init__(self, cluster: Cluster) -> None:
        group, named = "/{api:path}/namespaces/wardround/{kind}", "/{api:path}/namespaces/wardround/{kind}/{name}"
        routes = [
            WebSocketRoute("/api/v1/namespaces/wardround/pods/{pod}/exec", cluster.exec),
            Route("/apis/authorization.k8s.io/v1/{kind}", cluster.create, methods=["POST"]),
            Route(group, cluster.create, methods=["POST"]),
            Route(group, cluster.list, methods=["GET"]),
            Route(named, cluster.delete, methods=["DELETE"]),
        ]
        app = Starlette(routes=routes)
        options = uvicorn.Config(app, port=0, log_level="error", ws="websockets-sansio", lifespan="off")
        self._server, self._cluster = uvicorn.Server(options), cluster
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Cluster:
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        about = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "ward",
            "contexts": [{"name": "ward", "context": {"cluster": "ward", "user": "agent"}}],
            "clusters": [{"name": "ward", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "agent", "user": {"token": TOKEN}}],
        }
        self._cluster.kubeconfig.write_text(yaml.safe_dump(about))
        return self._cluster

    def __exit__(self, *_: object) -> None:
        for process in self._cluster.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._server.should_exit = True
        self._thread.join()


def _answer(status: Object) -> JSONResponse:
    return JSONResponse(status, status["code"])


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
