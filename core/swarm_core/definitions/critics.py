"""``critics`` of ``multi-agent.yaml``: which service reviews another one's commits before they come to a gate.

An entry is the critic's name, or ``{service: NAME, rounds: N}``.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from swarm_core.vocabulary.spec import CriticSpec, ServiceSpec

from .marked import Marked

MAX_ROUNDS = 20


def critics(marked: Marked, services: Mapping[str, ServiceSpec]) -> dict[str, CriticSpec]:
    """The critics by the service whose work they review. Raises ConfigurationError with ``file:line``."""
    return {author: _critic(author, entry, services) for author, entry in marked.items()}


def _critic(author: str, marked: Marked, services: Mapping[str, ServiceSpec]) -> CriticSpec:
    workers = [key for key, service in services.items() if not service.is_architect]
    if author not in workers:
        raise marked.wrong(f"there is no service {author!r} to be reviewed", f"one of {', '.join(workers)}")
    if isinstance(marked.node, yaml.ScalarNode):
        name, rounds = marked, CriticSpec("").rounds
    else:
        fields = marked.fields(("service", "rounds"))
        if "service" not in fields:
            raise marked.wrong("service is missing", "name the service that reviews")
        name = fields["service"]
        rounds = fields["rounds"].whole(1, MAX_ROUNDS) if "rounds" in fields else CriticSpec("").rounds
    critic = services.get(name.text())
    if critic is None or critic.is_architect or critic.key == author:
        others = [key for key in workers if key != author]
        raise name.wrong(
            f"{name.text()!r} cannot review {author}", f"another service: {', '.join(others) or 'add one'}"
        )
    if critic.writes:
        hint = f"give {critic.key} access_level: global_read"
        raise name.wrong(f"{critic.key} writes files: a critic never changes what it reviews", hint)
    return CriticSpec(critic.key, rounds)
