"""Scripts of Argo CD, run as Argo CD runs them: Lua 5.1, with the base functions and tables and no other library.

What comes back goes through JSON there, in which an empty table is an empty list; an empty map that was one before is
put back from the object that went in, as Argo CD does.
"""

from typing import Any

from lupa.lua51 import LuaRuntime, lua_type

GIVEN = frozenset({
    "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset", "select",
    "setmetatable", "table", "tonumber", "tostring", "type", "unpack", "_G", "_VERSION",
})  # fmt: skip
Body = dict[str, Any]


def run(script: str, body: Body) -> Any:
    """Run a script on an object; give what it returns."""
    lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False, register_builtins=False)
    names = lua.globals()
    function = lua.eval("function(text) return assert(loadstring(text)) end")(script)
    for name in [str(name) for name in names if name not in GIVEN]:
        names[name] = None
    names.obj = _given(lua, body)
    return _taken(function())


def health(script: str, body: Body) -> dict[str, str]:
    """Ask for the health of an object."""
    told: dict[str, str] = run(script, body)
    return told


def discover(script: str, body: Body) -> list[dict[str, Any]]:
    """Ask which actions there are now."""
    found: dict[str, dict[str, Any]] = run(script, body)
    return [{"name": name, "disabled": one["disabled"], "iconClass": one["iconClass"]} for name, one in
            sorted(found.items())]  # fmt: skip


def act(script: str, body: Body) -> Body:
    """Run an action; give the object as it would be written."""
    changed: Body = _with_maps(run(script, body), body)
    return changed


def _given(lua: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return lua.table_from({key: _given(lua, item) for key, item in value.items() if item is not None})
    if isinstance(value, list):
        return lua.table_from([_given(lua, item) for item in value])
    return value


def _taken(value: Any) -> Any:
    if lua_type(value) != "table":
        return int(value) if isinstance(value, float) and value.is_integer() else value
    keys = list(value)
    if keys == list(range(1, len(keys) + 1)):
        return [_taken(value[key]) for key in keys]
    return {str(key): _taken(value[key]) for key in keys}


def _with_maps(new: Any, old: Any) -> Any:
    if isinstance(old, dict) and new == []:
        return old
    if isinstance(old, dict) and isinstance(new, dict):
        order = [key for key in old if key in new] + [key for key in new if key not in old]
        return {key: _with_maps(new[key], old.get(key)) for key in order}
    if isinstance(old, list) and isinstance(new, list):
        return [_with_maps(one, was) for one, was in zip(new, old, strict=False)] + new[len(old) :]
    return new
