"""What commands that ask a cluster have in common: where it is, what is meant there, and why there is no answer.

Imports nothing that takes long: `--help` and a bad option are answered before any model of the API is loaded.
"""

import argparse
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeostat.cli.arguments import BadArguments, CommandError

if TYPE_CHECKING:
    from homeostat.api.meta import Kind
    from homeostat.kube.apiserver.credentials import Credentials

OPERATOR_NAMESPACE = "homeostat-system"
"""Where the operator runs, unless one says otherwise: the default of its setting."""
_REQUEST = re.compile(
    r"([A-Z]+) /apis/homeostat\.dev/v1alpha1/(?:namespaces/([^/]+)/)?([a-z]+)(?:/([^/: ]+))?[^ ]*: 40[34]"
)
_VERBS = {"GET": "get", "PATCH": "patch", "POST": "create", "PUT": "update", "DELETE": "delete"}
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which cluster to ask."""
    parser.add_argument("--kubeconfig", default="", help="path of a kubeconfig (default: as kubectl finds it)")
    parser.add_argument("--context", default="", help="context of the kubeconfig (default: the current one)")


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """Let a command be told in which namespace its object is."""
    parser.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")


def add_place(parser: argparse.ArgumentParser) -> None:
    """Let a command be told where its object is: in a cluster, or in a file."""
    add_namespace(parser)
    parser.add_argument(
        "-f", "--file", default="", metavar="FILE", help="read it from a file, as kubectl get -o yaml writes it"
    )
    add_cluster(parser)


def add_namespaces(parser: argparse.ArgumentParser) -> None:
    """Let a command be told of which namespace, or that of all."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("-n", "--namespace", default="", help="namespace (default: that of the context)")
    where.add_argument("-A", "--all-namespaces", action="store_true", help="the whole cluster")


def credentials_of(asked: argparse.Namespace) -> "Credentials":
    """Find who asks which cluster, as kubectl would. Raises CredentialsError."""
    from homeostat.kube.apiserver.kubeconfig import find_credentials  # noqa: PLC0415 - not for --help

    return find_credentials(os.environ, kubeconfig=asked.kubeconfig, context=asked.context)


def place_of(asked: argparse.Namespace) -> "tuple[Credentials, str]":
    """Find the cluster, and the namespace ("" for all), that was asked for. Raises CredentialsError."""
    credentials = credentials_of(asked)
    is_for_all = getattr(asked, "all_namespaces", False)
    return credentials, "" if is_for_all else asked.namespace or credentials.namespace


def is_name(text: str) -> bool:
    """Whether an object can be called so. No name at all, or `.`, would be the path of a whole collection."""
    return _NAME.fullmatch(text) is not None


def kind_names(kind: "Kind") -> frozenset[str]:
    """Give what kubectl lets a kind be called."""
    return frozenset({kind.singular, kind.plural, f"{kind.plural}.homeostat.dev", *kind.short_names})


def name_of(text: str, kind: "Kind", command: str) -> str:
    """Read `rp/NAME`, as kubectl writes it, or a bare name. Raises BadArguments."""
    said, slash, name = text.rpartition("/")
    if not is_name(name) or (slash and said.lower() not in kind_names(kind)):
        raise BadArguments(f"{command}: {text!r} is not {kind.short_names[0]}/NAME")
    return name


def explained(error: Exception, *, when_gone: str, when_forbidden: str) -> str:
    """Say in one line what went wrong, and where there is a common cause, which."""
    from homeostat.kube.apiserver.credentials import CredentialsError  # noqa: PLC0415 - not for --help
    from homeostat.ports import Conflict, Forbidden, Gone, Rejected  # noqa: PLC0415

    told = " ".join(str(error).split())
    if isinstance(error, (CommandError, CredentialsError)):
        return told
    if isinstance(error, Gone):
        return f"{_in_words(told, 'there is no {object}')}: {when_gone}"
    if isinstance(error, Forbidden):
        return f"{_in_words(told, 'you may not {verb} {object}')}: {when_forbidden}"
    if isinstance(error, (Rejected, Conflict)):
        return f"the API server refused: {told}"
    return f"the API server: {told}"


def _in_words(told: str, words: str) -> str:
    """Say of a request for one of our objects, as errors name it, what was meant; of any other what was told."""
    found = _REQUEST.match(told)
    if found is None:
        return told
    method, namespace, plural, name = found.groups()
    place = f" in namespace {namespace}" if namespace else ""
    verb = _VERBS.get(method, method) if name or method != "GET" else "list"
    return words.format(verb=verb, object=f"{plural}/{name}{place}" if name else f"{plural}{place}")


def kind_and_name(text: str, kinds: "Sequence[Kind]", command: str) -> "tuple[Kind, str]":
    """Read `chaos/NAME` where several kinds are meant; a bare name is of the first. Raises BadArguments."""
    said = text.rpartition("/")[0].lower()
    kind = next((kind for kind in kinds if said in kind_names(kind)), kinds[0])
    name = text.rpartition("/")[2]
    if not is_name(name) or (said and said not in kind_names(kind)):
        raise BadArguments(f"{command}: {text!r} is not {' or '.join(f'{one.short_names[0]}/NAME' for one in kinds)}")
    return kind, name
