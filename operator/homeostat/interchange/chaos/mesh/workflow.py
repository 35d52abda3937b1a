"""Workflow: what breaks something in it as experiments, and their order as a GameDay where it is a plain sequence."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from homeostat.interchange.chaos import strict, units
from homeostat.interchange.chaos.experiment import Origin, Wishes
from homeostat.interchange.chaos.mesh.single import IN_ORDER, SCHEDULE, drafts, member, of_schedule, tried
from homeostat.interchange.draft import Draft, dns_name
from homeostat.interchange.reading import Source, Unusable

KIND: Final = "GameDay"
_SERIAL, _SUSPEND = "Serial", "Suspend"
_MOST_VISITS: Final = 1000  # of templates, so that sequences which lead back to themselves end


@dataclass(slots=True)
class _Day:
    """A workflow on its way to a GameDay: what each template became, and the steps so far."""

    templates: dict[str, Source]
    made: dict[str, list[Draft]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    namespaces: set[str] = field(default_factory=set)

    def add_all(self, entry: str) -> None:
        """Add the steps of the sequence that begins at a template. Raises Unusable."""
        waiting = [entry]
        for _ in range(_MOST_VISITS):
            if not waiting:
                return
            waiting[:1] = self._visit(waiting[0])
        raise Unusable("spec.templates", "too many steps, or one leads back to itself")

    def _visit(self, name: str) -> list[str]:
        """Add the step that a template stands for, or give its children. Raises Unusable."""
        template = self.templates.get(name)
        if template is None:
            raise Unusable("spec.templates", f'there is no "{name}" that could be a step')
        kind = template.text("templateType")
        if kind == _SERIAL:
            return strict.texts(template, "children")
        if kind == _SUSPEND:
            self._pause(template)
        elif self.made.get(name) and kind != SCHEDULE:
            for one in self.made[name]:
                self.steps.append(self._step(one))
        else:
            raise Unusable(template.path, f"{kind or 'a template'} {name}: {IN_ORDER}")
        return []

    def _step(self, experiment: Draft) -> dict[str, Any]:
        """Give a step whose gate is open whatever came of it: a workflow goes on as well."""
        self.namespaces.add(experiment.namespace)
        is_again = any(step["experiment"] == experiment.name for step in self.steps)
        name = {"name": f"step-{len(self.steps) + 1}"} if is_again else {}
        return name | {"experiment": experiment.name, "gate": {"verdict": "Any", "wait": "0s"}}

    def _pause(self, template: Source) -> None:
        wait = strict.read(template, "deadline", units.go)
        if not self.steps or self.steps[-1]["gate"]["wait"] != "0s":
            template.notes.warn(template.path, "a pause at the beginning, or after another, is left out")
            return
        self.steps[-1]["gate"]["wait"] = wait


def of_workflow(spec: Source, source: Origin, wishes: Wishes) -> list[Draft]:
    """Import a workflow. The experiments begin no run by themselves; that an order is lost is an error."""
    entry = spec.text("entry")
    templates = spec.parts("templates")
    day = _Day({})
    for template in templates:
        name = template.text("name")
        if not name or name in day.templates:
            template.drop()
            spec.notes.errors.append((template.at("name"), "a name of its own is needed: skipped"))
            continue
        day.templates[name] = template
        day.made[name] = _experiments(template, name, source, wishes)
    found = [one for made in day.made.values() for one in made]
    for one in found:
        one.spec["start"] = "OnRequest"
    try:
        return [*found, _game_day(day, entry, source, spec)]
    except Unusable as error:
        spec.notes.errors.append((error.path, f"{error.message}: no GameDay"))
        return found


def _experiments(template: Source, name: str, source: Origin, wishes: Wishes) -> list[Draft]:
    kind, deadline = template.text("templateType"), template.text("deadline")
    if kind == SCHEDULE:
        again = template.part("schedule")
        return tried(again, partial(of_schedule, again, source, wishes, name, deadline))
    if not kind.endswith("Chaos"):
        template.raw("children")
        if kind != _SUSPEND:
            template.lose("a sequence has no time limit", "deadline")
        return []
    body = template.part(member(kind))
    limit = Wishes(wishes.health_checks, _deadline(template, deadline) or wishes.duration)
    return tried(body, partial(drafts, kind, body, source, limit, suffix=name))


def _deadline(template: Source, text: str) -> str:
    try:
        return units.go(text) if text else ""
    except ValueError as error:
        template.notes.warn(template.at("deadline"), f"{error}: left out")
        return ""


def _game_day(day: _Day, entry: str, source: Origin, spec: Source) -> Draft:
    """Give the GameDay of the sequence that begins at `entry`. Raises Unusable."""
    day.add_all(entry)
    if len(day.namespaces) != 1:
        raise Unusable(spec.at("templates"), "a GameDay has experiments, and all of one namespace")
    members = {"description": f"Imported from {source.what}"[:1024], "steps": day.steps}
    name = dns_name(source.name, "metadata.name", spec.notes)
    return Draft(name, members, day.namespaces.pop(), dict(source.labels), dict(source.annotations), KIND)
