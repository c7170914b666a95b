"""What the API answers, in the shapes of its reference; every object is checked against its OpenAPI schema."""

from __future__ import annotations

from typing import Any

import kubernetes_validate

VERSION = "1.33"
Object = dict[str, Any]


def checked(thing: Object) -> Object:
    """Raises ValidationError for what is not, to the last field, an object of the API."""
    kubernetes_validate.validate(thing, VERSION, strict=True)
    return thing


def status(code: int, reason: str, message: str) -> Object:
    """A failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


FORBIDDEN = status(
    403,
    "Forbidden",
    'networkpolicies.networking.k8s.io is forbidden: User "system:serviceaccount:wardround:agent" cannot create '
    'resource "networkpolicies" in API group "networking.k8s.io" in the namespace "wardround"',
)
QUOTA = status(
    403,
    "Forbidden",
    'jobs.batch "wardround-1" is forbidden: exceeded quota: ward, requested: count/jobs.batch=1, used: '
    "count/jobs.batch=2, limited: count/jobs.batch=2",
)


def pod(name: str, run: str, labels: Object, pod_status: Object) -> Object:
    meta = {"name": name, "namespace": "wardround", "labels": labels}
    spec = {"containers": [{"name": "worker", "image": "registry/wardround"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": pod_status}


def _container(state: Object) -> Object:
    told = {"name": "worker", "image": "registry/wardround", "imageID": "", "ready": "running" in state}
    return {**told, "restartCount": 0, "state": state}


RUNNING = {"phase": "Running", "containerStatuses": [_container({"running": {"startedAt": "2026-01-01T00:00:00Z"}})]}
CREATING = {"phase": "Pending", "containerStatuses": [_container({"waiting": {"reason": "ContainerCreating"}})]}
UNPLACED = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ],
}
NO_IMAGE = {
    "phase": "Pending",
    "containerStatuses": [
        _container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image registry/wardround"}})
    ],
}
EVICTED = {
    "phase": "Failed",
    "reason": "Evicted",
    "message": "The node was low on resource: memory.",
}
TOO_LATE = {
    "phase": "Failed",
    "reason": "DeadlineExceeded",
    "message": "Pod was active on the node longer than the specified deadline",
}
OUT_OF_MEMORY = {
    "phase": "Failed",
    "containerStatuses": [_container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})],
}


def pods(items: list[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": items}


def events(messages: list[tuple[str, str]]) -> Object:
    about = {"kind": "Job", "name": "wardround-1", "namespace": "wardround", "apiVersion": "batch/v1"}
    items = [
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"e{number}", "namespace": "wardround"},
            "involvedObject": about,
            "type": "Warning",
            "reason": reason,
            "message": message,
        }
        for number, (reason, message) in enumerate(messages)
    ]
    return {"apiVersion": "v1", "kind": "EventList", "metadata": {"resourceVersion": "1"}, "items": items}
