"""What commands that ask a cluster have in common: where it is, what is meant there, and why there is no answer."""

import argparse
from collections.abc import Sequence

from homeostat.api.meta import Kind
from homeostat.kube.credentials import CredentialsError
from homeostat.ports import Forbidden, Gone
from homeostat.wiring.arguments import BadArguments


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which cluster to ask."""
    parser.add_argument("--kubeconfig", default="", help="path of a kubeconfig (default: as kubectl finds it)")
    parser.add_argument("--context", default="", help="context of the kubeconfig (default: the current one)")


def kind_names(kind: Kind) -> frozenset[str]:
    """Give what kubectl lets a kind be called."""
    return frozenset({kind.singular, kind.plural, f"{kind.plural}.homeostat.dev", *kind.short_names})


def name_of(text: str, kind: Kind, command: str) -> str:
    """Read `rp/NAME`, as kubectl writes it, or a bare name. Raises BadArguments."""
    said, slash, name = text.rpartition("/")
    if not name or (slash and said.lower() not in kind_names(kind)):
        raise BadArguments(f"{command}: {text!r} is not {kind.short_names[0]}/NAME")
    return name


def explained(error: Exception, *, when_gone: str, when_forbidden: str) -> str:
    """Say in one line what went wrong, and where there is a common cause, which."""
    told = " ".join(str(error).split())
    if isinstance(error, (BadArguments, CredentialsError)):
        return told
    if isinstance(error, Gone):
        return f"{told}: {when_gone}"
    if isinstance(error, Forbidden):
        return f"{told}: {when_forbidden}"
    return f"the API server: {told}"


def kind_and_name(text: str, kinds: Sequence[Kind], command: str) -> tuple[Kind, str]:
    """Read `chaos/NAME` where several kinds are meant; a bare name is of the first. Raises BadArguments."""
    said = text.rpartition("/")[0].lower()
    kind = next((kind for kind in kinds if said in kind_names(kind)), kinds[0])
    name = text.rpartition("/")[2]
    if not name or (said and said not in kind_names(kind)):
        raise BadArguments(f"{command}: {text!r} is not {' or '.join(f'{one.short_names[0]}/NAME' for one in kinds)}")
    return kind, name
