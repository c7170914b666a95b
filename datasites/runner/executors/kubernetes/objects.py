"""What is made on the cluster for one job: a network policy that forbids all, and the job. Values, no calls."""

from __future__ import annotations

import math
from pathlib import Path

from kubernetes.client import models as k8s

from datasites.runner.executors.base import Launch
from datasites.runner.executors.far import Errand
from datasites.runner.executors.options import KubernetesOptions
from datasites.runner.executors.staging import Stage
from datasites.runner.limits import MIB

RUN = "wardround/run"  # the label by which a job's pod and its network policy find each other
CONTAINER = "worker"
OVERHEAD_BYTES = 512 * MIB  # besides what a study may use: the far end and the worker
_STUDY, _SCRATCH = "/study", "/scratch"
_SECONDS_TO_FORGET = 60  # a job that has ended and that nobody removed, since the agent was killed


def labels(stage: Stage) -> dict[str, str]:
    """Of all that is made for the job."""
    return {"app.kubernetes.io/name": "wardround", RUN: stage.name}


def network_policy(stage: Stage) -> k8s.V1NetworkPolicy:
    """No connection to the pod, and none from it: both directions are named, and no rule allows anything."""
    return k8s.V1NetworkPolicy(
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        metadata=k8s.V1ObjectMeta(name=stage.name, labels=labels(stage)),
        spec=k8s.V1NetworkPolicySpec(
            pod_selector=k8s.V1LabelSelector(match_labels={RUN: stage.name}),
            policy_types=["Ingress", "Egress"],
            ingress=[],
            egress=[],
        ),
    )


def job(options: KubernetesOptions, stage: Stage, launch: Launch, user: int, seconds: int) -> k8s.V1Job:
    """Its pod only waits: the worker is started in it by `exec`, whose output the cluster does not log.

    What a pod's first process prints is written to the node's disk, and from there to wherever logs are collected; and
    a worker prints results that no gate has seen yet.
    """
    waits = [options.python, "-I", "-S", "-c", f"import time; time.sleep({seconds})"]
    container = k8s.V1Container(
        name=CONTAINER,
        image=options.image,
        command=waits,
        working_dir=_SCRATCH,
        resources=_resources(options, launch),
        security_context=k8s.V1SecurityContext(
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=True,
            run_as_non_root=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        volume_mounts=[
            k8s.V1VolumeMount(name="study", mount_path=_STUDY, sub_path=stage.name, read_only=True),
            k8s.V1VolumeMount(name="scratch", mount_path=_SCRATCH),
        ],
    )
    pod = k8s.V1PodSpec(
        containers=[container],
        volumes=[_study_volume(options), _scratch_volume(launch)],
        restart_policy="Never",
        automount_service_account_token=False,
        enable_service_links=False,
        host_network=False,
        host_pid=False,
        host_ipc=False,
        termination_grace_period_seconds=0,
        runtime_class_name=options.runtime_class or None,
        node_selector=options.node_selector or None,
        image_pull_secrets=[k8s.V1LocalObjectReference(name=options.pull_secret)] if options.pull_secret else None,
        security_context=k8s.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=user,
            run_as_group=user,
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
    )
    return k8s.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=k8s.V1ObjectMeta(name=stage.name, labels=labels(stage)),
        spec=k8s.V1JobSpec(
            active_deadline_seconds=seconds,
            backoff_limit=0,
            completions=1,
            parallelism=1,
            ttl_seconds_after_finished=_SECONDS_TO_FORGET,
            template=k8s.V1PodTemplateSpec(metadata=k8s.V1ObjectMeta(labels=labels(stage)), spec=pod),
        ),
    )


def errand(launch: Launch) -> Errand:
    """What the far end in the pod is told."""
    return Errand(
        code=Path(_STUDY) / "code",
        table=Path(_STUDY) / "table.parquet",
        scratch=Path(_SCRATCH),
        limits=launch.limits,
        processes=launch.processes,
    )


def _resources(options: KubernetesOptions, launch: Launch) -> k8s.V1ResourceRequirements:
    """The same is asked for and allowed, so that the node has it and the pod is the last to be evicted."""
    memory = launch.limits.memory_bytes + launch.limits.scratch_bytes + OVERHEAD_BYTES
    amounts = {"cpu": str(options.cpus * launch.processes), "memory": f"{math.ceil(memory / MIB)}Mi"}
    if launch.limits.gpus:
        amounts[options.gpu_resource] = str(launch.processes)
    return k8s.V1ResourceRequirements(limits=amounts, requests=amounts)


def _study_volume(options: KubernetesOptions) -> k8s.V1Volume:
    """Read-only, in the mount too."""
    if options.claim:
        claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=options.claim, read_only=True)
        return k8s.V1Volume(name="study", persistent_volume_claim=claim)
    return k8s.V1Volume(name="study", host_path=k8s.V1HostPathVolumeSource(path=options.host_path, type="Directory"))


def _scratch_volume(launch: Launch) -> k8s.V1Volume:
    """In memory: what a study writes is made of patients' data, and reaches no disk of a node."""
    size = f"{math.ceil(launch.limits.scratch_bytes / MIB)}Mi"
    return k8s.V1Volume(name="scratch", empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=size))
