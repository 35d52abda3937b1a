"""`homeostat completion SHELL`: a script that lets a shell ask us what may come next."""

from collections.abc import Sequence

from homeostat.cli.arguments import BadArguments
from homeostat.cli.parsers.completion import parser
from homeostat.cli.streams import complain, print_out

FAILED = 2
_SCRIPTS = {
    "bash": """\
_homeostat() {
  local IFS=$'\\n' line
  COMPREPLY=()
  local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  while IFS= read -r line; do
    [[ $line == :* ]] && continue
    COMPREPLY+=("${line%%$'\\t'*}")
  done < <(homeostat __complete "${words[@]}" 2>/dev/null)
}
complete -o default -o nosort -F _homeostat homeostat
""",
    "zsh": """\
#compdef homeostat
_homeostat() {
  local -a found
  local line
  while IFS= read -r line; do
    [[ $line == :* ]] && continue
    found+=("${${line//:/\\\\:}/$'\\t'/:}")
  done < <(homeostat __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#found} )); then _describe homeostat found; else _files; fi
}
compdef _homeostat homeostat
""",
    "fish": """\
function __homeostat_complete
  set -l words (commandline -opc) (commandline -ct)
  homeostat __complete $words[2..-1] 2>/dev/null | string match -v -r '^:'
end
complete -c homeostat -f -a '(__homeostat_complete)'
complete -c homeostat -n '__fish_seen_argument -s f -l file' -F
""",
}


def main(arguments: Sequence[str]) -> int:
    """Run the command; give the exit code."""
    try:
        asked = parser().parse_args(arguments)
    except BadArguments as error:
        complain([str(error)])
        return FAILED
    return 0 if print_out(_SCRIPTS[asked.shell]) else FAILED
