"""What is asked of the cluster's API, and what its answers mean for the owner: one sentence each."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3.exceptions
from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.client import models as k8s
from kubernetes.config import ConfigException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient

from datasites.runner.errors import NotStarted
from datasites.runner.executors.kubernetes.objects import CONTAINER, RUN
from datasites.runner.executors.options import KubernetesOptions

log = logging.getLogger(__name__)
_SECONDS = 20.0  # for one answer of the API
_SECONDS_TO_GO = 30.0
_LOOK_SECONDS = 0.5
RIGHTS = (  # verb, group, resource, subresource: what the agent's account must be allowed in the namespace
    ("create", "batch", "jobs", ""),
    ("delete", "batch", "jobs", ""),
    ("create", "networking.k8s.io", "networkpolicies", ""),
    ("delete", "networking.k8s.io", "networkpolicies", ""),
    ("list", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("get", "", "pods", "exec"),  # which websockets ask for before Kubernetes 1.35
    ("list", "", "events", ""),
)
_STUCK = {  # of a container that waits: it will not get better
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}


class Api:
    """The part of the API that jobs need, in one namespace. Raises NotStarted with a sentence for the owner."""

    def __init__(self, options: KubernetesOptions) -> None:
        """Raises NotStarted where there is no way to the cluster."""
        self._options, self._namespace = options, options.namespace
        found = client.Configuration()
        context = options.context or None
        try:
            if options.kubeconfig:
                config.load_kube_config(options.kubeconfig, context, found)
            else:
                try:
                    config.load_incluster_config(found)
                except ConfigException:
                    config.load_kube_config(context=context, client_configuration=found)
        except (ConfigException, OSError, TypeError, ValueError) as why:
            raise NotStarted(
                f"There is no way to the Kubernetes cluster ({type(why).__name__}).",
                "Set kubernetes.kubeconfig to a file that names the cluster and an account of the agent's own.",
            ) from None
        found.retries = urllib3.Retry(total=0)
        self._client = client.ApiClient(found)
        self._batch, self._core = client.BatchV1Api(self._client), client.CoreV1Api(self._client)
        self._network = client.NetworkingV1Api(self._client)

    def forbid_network(self, policy: k8s.V1NetworkPolicy) -> None:
        """Returns once the cluster has taken the policy as it was asked for."""
        made = self._do("forbid the job all network", self._network.create_namespaced_network_policy, policy)
        if set(made.spec.policy_types or ()) != {"Ingress", "Egress"} or made.spec.ingress or made.spec.egress:
            raise NotStarted("The cluster has changed the network policy of the job, so that it may not run.")

    def create(self, job: k8s.V1Job) -> None:
        """Makes a job."""
        self._do("make a job", self._batch.create_namespaced_job, job)

    def pod(self, name: str) -> tuple[str, str]:
        """The name of the job's pod once it runs, and until then what it waits for, in a few words.

        Raises NotStarted where it will not run any more.
        """
        pods = self._pods(name)
        if not pods:
            return "", self._event(name) or "its pod has not been made"
        pod = pods[0]
        status = pod.status or k8s.V1PodStatus()
        _raise_if_lost(status)
        states = [one.state or k8s.V1ContainerState() for one in status.container_statuses or ()]
        for state in states:
            if state.waiting and state.waiting.reason in _STUCK:
                raise NotStarted(
                    f"The cluster cannot start the image ({state.waiting.reason}).",
                    "See that kubernetes.image is in its registry and that the nodes may pull it.",
                )
        if status.phase == "Running" and states and all(state.running for state in states):
            return str(pod.metadata.name), ""
        waiting = next((state.waiting.reason for state in states if state.waiting and state.waiting.reason), "")
        unplaced = next((c for c in status.conditions or () if c.type == "PodScheduled" and c.status == "False"), None)
        if unplaced is not None:
            return "", f"{unplaced.reason}: {_line(unplaced.message)}"
        return "", waiting or f"its pod is {status.phase or 'unknown'}"

    def why_ended(self, name: str) -> str:
        """Of a pod that was running: a sentence, empty where the cluster does not know."""
        try:
            pods = self._pods(name)
            _raise_if_lost(pods[0].status if pods else k8s.V1PodStatus(phase="Failed", reason="Deleted"))
        except NotStarted as why:
            return why.message
        return ""

    def exec(self, pod: str, argv: list[str]) -> WSClient:
        """A line to a program started in the pod."""
        with _explained("start the worker in the job's pod"):
            line: WSClient = stream(
                self._core.connect_get_namespaced_pod_exec,
                pod,
                self._namespace,
                container=CONTAINER,
                command=argv,
                stdin=True,
                stdout=True,
                stderr=True,
                tty=False,
                binary=True,
                _preload_content=False,
                _request_timeout=_SECONDS,
            )
            return line

    def remove(self, name: str) -> None:
        """The job with its pod; and, once that is gone, the network policy. Logs what cannot be removed."""
        now = client.V1DeleteOptions(propagation_policy="Foreground", grace_period_seconds=0)
        try:
            self._delete(self._batch.delete_namespaced_job, name, now)
            until = time.monotonic() + _SECONDS_TO_GO
            while self._pods(name):
                if time.monotonic() > until:
                    raise NotStarted("The cluster does not end a job's pod.")
                time.sleep(_LOOK_SECONDS)
            self._delete(self._network.delete_namespaced_network_policy, name, client.V1DeleteOptions())
        except NotStarted as why:
            log.error("%s See that job and network policy %s are gone.", why.message, name)

    def _delete(self, call: Callable[..., Any], name: str, options: client.V1DeleteOptions) -> None:
        with _explained("remove a job"):
            try:
                call(name, self._namespace, body=options, _request_timeout=_SECONDS)
            except ApiException as refused:
                if refused.status != 404:
                    raise

    def _pods(self, name: str) -> list[k8s.V1Pod]:
        selector = f"{RUN}={name}"
        pods = self._do("list pods", self._core.list_namespaced_pod, label_selector=selector)
        return list(pods.items)

    def missing_rights(self) -> list[str]:
        """What the agent's account may not do in the namespace."""
        missing = []
        reviews = client.AuthorizationV1Api(self._client)
        for verb, group, resource, part in RIGHTS:
            attributes = k8s.V1ResourceAttributes(
                namespace=self._namespace, verb=verb, group=group, resource=resource, subresource=part or None
            )
            spec = k8s.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            asked = k8s.V1SelfSubjectAccessReview(
                api_version="authorization.k8s.io/v1", kind="SelfSubjectAccessReview", spec=spec
            )
            with _explained("ask what it may do"):
                said = reviews.create_self_subject_access_review(asked, _request_timeout=_SECONDS)
            if not said.status or not said.status.allowed:
                missing.append(f"{verb} {resource}{'/' + part if part else ''}")
        return missing

    def close(self) -> None:
        """Closes the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _event(self, name: str) -> str:
        """Why the job's pod is not made: what the job's own controller has told last."""
        with contextlib.suppress(NotStarted):
            selector = f"involvedObject.kind=Job,involvedObject.name={name}"
            events = self._do("list events", self._core.list_namespaced_event, field_selector=selector).items
            failed = [event for event in events if event.type == "Warning"]
            if failed:
                return f"{failed[-1].reason}: {_line(failed[-1].message)}"
        return ""

    def _do(self, what: str, call: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        with _explained(what):
            return call(self._namespace, *arguments, **more, _request_timeout=_SECONDS)


@contextlib.contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except ApiException as refused:
        reason, hint = _reason(refused), ""
        if refused.status in (401, 403):
            hint = "Give the agent's account that right, or room in the quota; see docs/executors.md."
        raise NotStarted(f"The cluster does not let the agent {what}: {reason}.", hint) from refused
    except (urllib3.exceptions.HTTPError, OSError) as why:
        raise NotStarted(
            f"The cluster's API does not answer ({type(why).__name__}).", "See whether it runs: wardround doctor."
        ) from why


def _reason(refused: ApiException) -> str:
    """The API's own words: it answers with a Status object."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return _line(json.loads(refused.body or "")["message"]) or f"status {refused.status}"
    return f"status {refused.status}" if refused.status else _line(str(refused.reason)) or "it gave no reason"


def _raise_if_lost(status: k8s.V1PodStatus) -> None:
    ended = [one.state.terminated for one in status.container_statuses or () if one.state and one.state.terminated]
    if any(one.reason == "OOMKilled" for one in ended):
        raise NotStarted("The cluster ended the job: its pod used more memory than it may.")
    if status.phase in ("Failed", "Succeeded"):
        said = _line(status.message)
        reason = status.reason or next((one.reason for one in ended if one.reason), "") or "its pod has ended"
        raise NotStarted(f"The cluster ended the job: {reason}{': ' + said if said else ''}.")


def _line(text: str | None) -> str:
    return " ".join((text or "").split()).strip(" .")[:300]
