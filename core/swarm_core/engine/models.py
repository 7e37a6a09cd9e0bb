"""Which model answers for a service: the SDK's, or scripts."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

from swarm_core.agents.cast import cast
from swarm_core.agents.model import Model
from swarm_core.agents.script import Script, load_scripts
from swarm_core.agents.scripted_model import ScriptedModel
from swarm_core.agents.shared_prefix import SharedPrefix
from swarm_core.vocabulary.clock import Clock
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import ServiceSpec, SwarmSpec

from .limits import ANTHROPIC, SCRIPTED, SharedLimits

OFFLINE_SCRIPT = "rehearsal"


def script_directory(name: str, root: Path) -> Path:
    """The directory of a built-in set of scripts, or one inside the repository.

    Raises ConfigurationError if it does not exist or lies outside the repository.
    """
    package = Path(str(files("swarm_core")))
    built_in = {"ecoroute": package / "demo" / "scripts", "rehearsal": package / "catalog" / "scripts" / "rehearsal"}
    if name in built_in:
        return built_in[name]
    directory = (root / name).resolve()
    if not directory.is_relative_to(root.resolve()) or not directory.is_dir():
        raise ConfigurationError(
            f"script: there are no scripts {name!r}",
            path=root / "multi-agent.yaml",
            hint=f"use {' or '.join(built_in)}, or a directory of this repository",
        )
    return directory


class ModelPool:
    """Makes each model once for a run. ``options`` are those of the run: ``offline``, ``script``, ``speed``.

    ``limits`` are those of the engine, which all its runs share.
    """

    def __init__(
        self, spec: SwarmSpec, root: Path, clock: Clock, goal: str = "", limits: SharedLimits | None = None
    ) -> None:
        self.spec, self.root, self.clock, self.goal = spec, root, clock, goal
        self.limits = limits or SharedLimits(clock)
        self._scripted: ScriptedModel | None = None
        self._anthropic: Model | None = None

    def is_scripted(self, service: ServiceSpec, options: Mapping[str, Any]) -> bool:
        return bool(options.get("offline")) or bool(options.get("script")) or service.adapter == "scripted"

    def provider(self, service: ServiceSpec, options: Mapping[str, Any]) -> str:
        """Whose limits the service's calls are under."""
        return SCRIPTED if self.is_scripted(service, options) else ANTHROPIC

    def label(self, service: ServiceSpec, options: Mapping[str, Any]) -> str:
        """What a pane shows as the model."""
        if service.is_human:
            return service.adapter
        if self.is_scripted(service, options):
            return "scripted"
        if service.is_foreign:
            return f"{service.adapter}: {service.profile or PurePath(service.command[0]).name}"
        return service.model

    def get(self, service: ServiceSpec, options: Mapping[str, Any]) -> Model:
        if not self.is_scripted(service, options):
            if self._anthropic is None:
                from swarm_core.agents.anthropic_model import AnthropicModel

                model = AnthropicModel(clock=self.clock, on_response=self.limits.gates.observer(ANTHROPIC))
                self._anthropic = SharedPrefix(model, self.clock)
            return self._anthropic
        if self._scripted is None:
            self._scripted = ScriptedModel(self._scripts(options), self.clock, float(options.get("speed", 1.0)))
        return self._scripted

    def check(self, options: Mapping[str, Any]) -> None:
        """Read the scripts a run with ``options`` would play. Raises ConfigurationError if they are not in order."""
        if any(self.is_scripted(service, options) for service in self.spec.services.values()):
            self._scripts(options)

    def _scripts(self, options: Mapping[str, Any]) -> Mapping[str, Script]:
        name = options.get("script") or (OFFLINE_SCRIPT if options.get("offline") else self.spec.script)
        return cast(load_scripts(script_directory(str(name), self.root)), self.spec.services, self.goal)

    async def close(self) -> None:
        for model in (self._scripted, self._anthropic):
            if model is not None:
                await model.close()
