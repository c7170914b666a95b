"""The real client and real workers, against a server that plays the API: no cluster was ever reached from here."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.executors import staging
from datasites.runner.executors.base import Launch, Stop
from datasites.runner.executors.kubernetes import objects
from datasites.runner.executors.kubernetes.executor import Kubernetes
from datasites.runner.executors.options import KubernetesOptions
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from tests.support.federation import wait_for
from tests.support.kubernetes import answers
from tests.support.kubernetes.server import Cluster, Server
from tests.support.workers import ReadWorker

DATASITE = "do@north.org"
COUNTS = "def evaluate(parameters, table, config): return len(table), {}"
Begin = Callable[..., ReadWorker]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Server(Cluster(tmp_path)) as running:
        yield running


@pytest.fixture
def executor(cluster: Cluster, tmp_path: Path) -> Kubernetes:
    shared = tmp_path / "shared"
    shared.mkdir()
    options = KubernetesOptions(
        shared=shared,
        namespace="wardround",
        image=f"registry.hospital.org/wardround@sha256:{'a' * 64}",
        python=sys.executable,
        host_path=str(shared),
        user=10001,
        kubeconfig=str(cluster.kubeconfig),
        queue_seconds=1.5,
    )
    return Kubernetes(options, DATASITE)


@pytest.fixture
def launch(tmp_path: Path, table: Path) -> Launch:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "study.py").write_text(COUNTS)
    return Launch(tmp_path / "code", table, tmp_path / "scratch", tmp_path / "log", Limits(seconds_per_round=60))


@pytest.fixture
def begin(launch: Launch, executor: Kubernetes) -> Iterator[Begin]:
    workers: list[ReadWorker] = []

    def start(text: str = COUNTS, should_stop: Stop = lambda: False) -> ReadWorker:
        (launch.code / "study.py").write_text("import numpy as np\n" + textwrap.dedent(text))
        workers.append(ReadWorker(Worker.run_on(executor, launch, should_stop)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def test_rounds_run_in_one_job_and_nothing_stays(begin, cluster, executor, launch):
    worker = begin(
        """
        def initialize(config):
            raise ValueError("of patient 11")
        def fit(parameters, table, config):
            print("trained", len(table))
            return {"w": parameters["w"][::-1].copy()}, len(table), {}
        """
    )
    large = np.frombuffer(os.urandom(3_000_008), dtype=np.uint8)
    for _ in range(2):
        assert np.array_equal(worker.call("fit", {"w": large}, {}).parameters["w"], large[::-1])
    with pytest.raises(WorkerFailed, match="raised an error"):
        worker.call("initialize", {}, {})
    assert [made["kind"] for made in cluster.made] == ["NetworkPolicy", "Job"]
    assert len(list(executor.options.shared.iterdir())) == 1
    worker.stop()
    wait_for(lambda: cluster.empty, "the end of all that was made")
    assert cluster.removed == ["jobs", "networkpolicies"]
    assert not list(executor.options.shared.iterdir())
    log = launch.log.read_text()
    assert (log.count("trained 3"), log.count("ValueError: of patient 11\n")) == (2, 1)


def test_a_revocation_ends_the_job(begin, cluster):
    worker = begin("def fit(parameters, table, config):\n    while True: pass")
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", {}, {}, lambda: True)
    assert caught.value.code is Code.STOPPED
    wait_for(lambda: cluster.empty, "the end of all that was made")


def test_an_eviction_fails_the_round_and_tells_the_owner_why(begin, cluster, caplog):
    worker = begin()
    cluster.pod_status = answers.EVICTED
    cluster.processes[0].kill()
    with pytest.raises(WorkerFailed) as caught:
        worker.call("evaluate", {}, {})
    assert caught.value.code is Code.DIED
    assert "The cluster ended the job: Evicted: The node was low on resource: memory." in caplog.text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"refusals": {"networkpolicies": answers.FORBIDDEN}}, "does not let the agent forbid the job all network"),
        ({"lost_policy": True}, "has changed the network policy"),
        ({"refusals": {"jobs": answers.QUOTA}}, r"does not let the agent make a job: .* exceeded quota: ward"),
        ({"pod_status": answers.NO_IMAGE}, r"cannot start the image \(ImagePullBackOff\)"),
        ({"pod_status": answers.UNPLACED}, r"within 2 seconds: Unschedulable: .*3 Insufficient nvidia.com/gpu"),
        ({"pod_status": answers.CREATING}, "within 2 seconds: ContainerCreating"),
        ({"pod_status": answers.EVICTED}, "ended the job: Evicted: The node was low on resource: memory"),
        ({"pod_status": answers.TOO_LATE}, "ended the job: DeadlineExceeded"),
        ({"pod_status": answers.OUT_OF_MEMORY}, "its pod used more memory than it may"),
        ({"pod_status": None, "events": [("FailedCreate", "exceeded quota: ward")]}, "FailedCreate: exceeded quota"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_leaves_nothing(executor, launch, cluster, change, sentence):
    for name, value in change.items():
        setattr(cluster, name, value)
    with pytest.raises(NotStarted, match=sentence) as caught:
        Worker.run_on(executor, launch)
    assert "\n" not in str(caught.value)
    assert cluster.empty
    assert not list(executor.options.shared.iterdir())
    if "networkpolicies" in cluster.refusals or cluster.lost_policy:
        assert not any(made["kind"] == "Job" for made in cluster.made)  # fail closed


def test_an_api_that_is_away_is_one_sentence(executor, launch, cluster, tmp_path):
    cluster.kubeconfig.write_text(cluster.kubeconfig.read_text().replace("127.0.0.1:", "127.0.0.1:1"))
    away = replace(executor, options=executor.options.model_copy(update={"kubeconfig": str(tmp_path / "nowhere")}))
    for one, sentence in ((away, "There is no way to the Kubernetes cluster"), (executor, "API does not answer")):
        with pytest.raises(NotStarted, match=sentence):
            Worker.run_on(one, launch)
        assert not list(executor.options.shared.iterdir())
        assert sentence in one.problem()[0]


def test_a_job_is_confined_as_far_as_the_api_can_say_it(executor, launch, tmp_path):
    """Every object is one of the API's; what protects patients is in it."""
    gpus = replace(launch, limits=launch.limits.model_copy(update={"gpus": True}), processes=2)
    stage = staging.Stage(tmp_path / "wardround-1-2")
    from kubernetes.client import ApiClient

    plain = ApiClient().sanitize_for_serialization
    policy = answers.checked(plain(objects.network_policy(stage)))
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == policy["spec"]["egress"] == []
    made = answers.checked(plain(objects.job(executor.options, stage, gpus, 10001, 3600)))
    template, spec = made["spec"]["template"], made["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert made["spec"].items() >= {"backoffLimit": 0, "activeDeadlineSeconds": 3600}.items()
    assert spec["automountServiceAccountToken"] is spec["hostNetwork"] is spec["hostPID"] is spec["hostIPC"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "9216Mi", "nvidia.com/gpu": "2"}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/study"] == {"name": "study", "mountPath": "/study", "subPath": stage.name, "readOnly": True}
    scratch = next(volume for volume in spec["volumes"] if volume["name"] == "scratch")
    assert scratch["emptyDir"] == {"medium": "Memory", "sizeLimit": "512Mi"}
    assert "env" not in container


def test_doctor_is_told_what_to_mend(executor, cluster):
    assert executor.problem() == ("", "")
    cluster.denied = {"create networkpolicies", "create pods"}
    sentence, mend = executor.problem()
    assert "create networkpolicies, create pods/exec" in sentence
    assert "docs/executors.md" in mend
    as_root = replace(executor, options=executor.options.model_copy(update={"user": 0}))
    if os.getuid() == 0:
        assert "must not" in as_root.problem()[0]


def test_what_a_killed_agent_left_is_removed_by_the_next(executor, cluster, launch):
    stage = staging.put(executor.options.shared, DATASITE, launch)
    cluster.jobs[stage.name], cluster.policies[stage.name] = {"spec": {"template": {"metadata": {"labels": {}}}}}, {}
    executor.tidy()
    assert cluster.empty
    assert not list(executor.options.shared.iterdir())
