"""The rehearsal's patterns fit any services; a script of its own comes first."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from swarm_core.agents.cast import cast, with_title
from swarm_core.agents.coordination import plan_tool
from swarm_core.agents.script import load_scripts
from swarm_core.vocabulary.spec import ServiceSpec

REHEARSAL = Path(str(files("swarm_core"))) / "catalog" / "scripts" / "rehearsal"
SERVICES = {
    "architect": ServiceSpec("architect", access_level="global_read", directories=("/",)),
    "web": ServiceSpec("web", directories=("src/web", "public")),
    "all": ServiceSpec("all", directories=("/",)),
    "reader": ServiceSpec("reader", access_level="global_read", directories=("/",)),
}


async def test_the_architects_pattern_plans_a_valid_task_for_each_service_that_writes() -> None:
    script = cast(load_scripts(REHEARSAL), SERVICES, "try {this}")["architect"]
    call = next(call for turn in script.turns for call in turn.do if call.tool == "plan_tasks")

    result = await plan_tool(("web", "all", "reader")).run(call.args)

    assert not result.is_error
    assert [task["assigned_to"] for task in call.args["tasks"]] == ["web", "all"]
    assert "try {this}" in call.args["tasks"][0]["description"]
    assert call.args["tasks"][1]["title"] == "Rehearse in ."


def test_a_services_pattern_names_its_first_directory_and_the_task() -> None:
    script = cast(load_scripts(REHEARSAL), SERVICES, "g")["web"]
    write = next(call for turn in script.turns for call in turn.do if call.tool == "Write")
    titled = with_title(next(turn for turn in script.turns if write in turn.do), "Rehearse in src/web")

    assert write.args["file_path"] == "src/web/REHEARSAL-web.md"
    assert "task: Rehearse in src/web" in titled.do[0].args["content"]


def test_a_script_of_its_own_comes_first_and_is_left_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text('- say: "{goal} stays"\n')
    (tmp_path / "_service.yaml").write_text('- say: "{goal} goes"\n')
    scripts = cast(load_scripts(tmp_path), SERVICES, "G")

    assert scripts["web"].turns[0].say == "{goal} stays"
    assert scripts["all"].turns[0].say == "G goes"
    assert "architect" not in scripts
