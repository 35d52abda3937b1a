"""Plays the stories together, since each of them mostly waits: in threads, ahead of the tests that ask for their end.

First those that share one operator (fixture `shop`): it runs in a pod, as it is installed for a whole cluster, so that
each of these stories also proves that its rights are enough. Then those that start and kill one of their own (fixture
`stage`): where there are pods, inside of one that is as it is installed.
"""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.installation import grant_rights, token_of
from cluster.installed import InstalledOperator
from cluster.operator_pod import address_beside, stage_in
from cluster.operator_process import AGENT_IMAGE, Operator, OperatorProcess, kubeconfig_for
from cluster.stage import Api, Stage, until_takes_pods

AT_ONCE = int(os.environ.get("HOMEOSTAT_TEST_STORIES", "6"))
SYSTEM = "homeostat-system"
OUTSIDE = frozenset({"test_no_data_has_three_reasons_and_each_takes_the_fault_off"})
"""Stories whose operator is a process outside: beats to three agents at once came too late from a pod under load."""


class Ensemble:
    """All stories of a session, as futures by test."""

    def __init__(self, api: Api, kubeconfig: Path, items: Iterable[pytest.Item]) -> None:
        self._api = api
        self._kubeconfig = kubeconfig
        self._folder = Path(tempfile.mkdtemp(prefix="homeostat-stories-"))
        self._futures: dict[str, Future[None]] = {}
        stories = [item for item in items if isinstance(item, pytest.Function)]
        self._shared = [item for item in stories if "shop" in item.fixturenames]
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._beside = address_beside(kubeconfig)
        grant_rights(self._api)
        self._operator = self._share_operator() if self._shared else None
        shared = [self._submit(item, "shop") for item in self._shared]
        closing = self._pool.submit(self._close, shared)
        for item in stories:
            if "stage" in item.fixturenames:
                self._submit(item, "stage", after=closing)

    def result_of(self, item: pytest.Item) -> "Future[None]":
        """Give the future of a test."""
        return self._futures[item.nodeid]

    def end(self) -> None:
        """Start no more stories, and wait for those under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._operator is not None:
            self._operator.stop()

    def _submit(self, item: pytest.Function, name: str, after: "Future[None] | None" = None) -> "Future[None]":
        params = item.callspec.params if hasattr(item, "callspec") else {}
        has_pod = name == "stage" and item.get_closest_marker("cluster") and item.name not in OUTSIDE
        beside = self._beside if has_pod else ""
        future = self._pool.submit(self._play, item.function, name, params, after, beside)
        self._futures[item.nodeid] = future
        return future

    def _play(
        self,
        story: Callable[..., None],
        role: str,
        params: dict[str, Any],
        after: "Future[None] | None",
        beside: str,
    ) -> None:
        if after is not None:
            after.result()
        namespace = f"story-{uuid.uuid4().hex[:8]}"
        for name in (namespace, f"{namespace}-system"):
            metadata = {"name": name, "labels": {"homeostat.dev/chaos": "allowed"}}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            code, answer = self._api("POST", "/api/v1/namespaces", body)
            assert code == 201, answer
            until_takes_pods(self._api, name)
        folder = self._folder / namespace
        folder.mkdir()
        stage = self._set(namespace, folder, role, beside)
        try:
            story(**{role: stage}, **params)
        except BaseException as error:
            for process in stage.processes:
                error.add_note(f"the operator in {namespace} said last:\n{process.tail()}")
            raise
        finally:
            stage.strike()

    def _set(self, namespace: str, folder: Path, role: str, beside: str) -> Stage:
        if role == "shop":
            return Stage(self._api, self._kubeconfig, namespace, folder, self._operator)
        return stage_in(self._api, self._kubeconfig, namespace, folder, beside)

    def _share_operator(self) -> Operator:
        """Start the operator for the whole cluster; the stories together are no storm.

        Where all stories have real pods it is one of them, else a process of the same account.
        """
        settings = {"action-budget": "1000", "storm-policies": "1000", "refreshes-per-second": "50"}
        if all(item.get_closest_marker("cluster") for item in self._shared):
            told = {f"HOMEOSTAT_{name.replace('-', '_').upper()}": value for name, value in settings.items()}
            return InstalledOperator(self._api, SYSTEM, told)
        cluster = yaml.safe_load(self._kubeconfig.read_text())["clusters"][0]["cluster"]
        token = token_of(self._api, SYSTEM, "homeostat")
        kubeconfig = kubeconfig_for(self._folder, cluster["server"], token, cluster["certificate-authority-data"])
        flags = [f"--{name}={value}" for name, value in settings.items()]
        own = ("--operator-namespace", SYSTEM, "--agent-image", AGENT_IMAGE)
        operator = OperatorProcess(self._folder, kubeconfig, "shared", (*own, *flags))
        operator.start()
        return operator

    def _close(self, shared: "list[Future[None]]") -> None:
        """Stop the shared operator once nobody needs it: from then on each namespace has its own."""
        for future in shared:
            future.exception()
        if self._operator is not None:
            self._operator.stop()
