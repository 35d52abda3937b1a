"""Secrets over the wire: one GET by name, and nothing of them in an error, a log or a repr."""

import logging

import pytest

from contract.kube_server import answers, client_of, hangs, refuses, serving
from homeostat.core.cluster import Secret
from homeostat.kube.apiserver.client import Patience
from homeostat.kube.secrets import ApiSecrets
from homeostat.ports import Forbidden, Unavailable

SECRET = {"type": "Opaque", "metadata": {"name": "api"}, "data": {"token": "c3dvcmRmaXNo", "empty": ""}}


async def test_a_secret_is_read_by_its_name_and_decoded() -> None:
    async with serving(answers(200, SECRET)) as api, client_of(api.url) as client:
        found = await ApiSecrets(client).read("shop", "api")

    assert found == Secret("Opaque", {"token": b"swordfish", "empty": b""})
    assert [(seen.method, seen.path, seen.query) for seen in api.seen] == [
        ("GET", "/api/v1/namespaces/shop/secrets/api", {})
    ]


async def test_a_secret_without_data_has_no_keys() -> None:
    bare = {"type": "Opaque", "metadata": {"name": "api"}}
    async with serving(answers(200, bare)) as api, client_of(api.url) as client:
        assert await ApiSecrets(client).read("shop", "api") == Secret("Opaque", {})


async def test_a_secret_that_is_not_there_is_none() -> None:
    async with serving(refuses(404, "NotFound")) as api, client_of(api.url) as client:
        assert await ApiSecrets(client).read("shop", "api") is None


async def test_a_right_that_is_missing_and_a_server_that_is_away_are_told_apart() -> None:
    async with serving(refuses(403, "Forbidden")) as api, client_of(api.url) as client:
        with pytest.raises(Forbidden):
            await ApiSecrets(client).read("shop", "api")
    async with serving(hangs) as api, client_of(api.url, patience=Patience(timeout=0.05, total=0)) as client:
        with pytest.raises(Unavailable):
            await ApiSecrets(client).read("shop", "api")


async def test_nothing_of_a_secret_is_shown_on_the_way(caplog: pytest.LogCaptureFixture) -> None:
    """H9: nor of its encoded form."""
    caplog.set_level(logging.DEBUG)
    async with serving(answers(200, SECRET)) as api, client_of(api.url) as client:
        found = await ApiSecrets(client).read("shop", "api")
    async with serving(refuses(403, "Forbidden", message="swordfish")) as api, client_of(api.url) as client:
        with pytest.raises(Forbidden) as refusal:
            await ApiSecrets(client).read("shop", "api")

    texts = [repr(found), str(found), str(refusal.value), repr(refusal.value), caplog.text]
    assert [text for text in texts if "swordfish" in text or "c3dvcmRmaXNo" in text] == []
