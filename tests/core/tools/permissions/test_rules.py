"""Which rule decides a call: the documented cases, and what must hold for every rule and every command."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm_core.tools.permissions.proposals import propose
from swarm_core.tools.permissions.rule import BadRule, Rule
from swarm_core.tools.permissions.rules import RuleSet, compile_rules
from swarm_core.vocabulary.errors import ConfigurationError
from swarm_core.vocabulary.spec import RuleText

TREE = Path("/tree-of-no-machine/work")
EFFECTS = ("deny", "ask", "allow")


def ruleset(
    rules: Mapping[str, list[str]] | None = None,
    tree: Path = TREE,
    default: str = "ask",
    granted: tuple[str, ...] = (),
) -> RuleSet:
    rules = rules or {}
    texts = [RuleText(effect, text) for effect in EFFECTS for text in rules.get(effect, [])]
    grants = [RuleText("allow", text, "grant") for text in granted]
    return compile_rules(texts, tree, default=default, granted=grants)[0]  # type: ignore[arg-type]


def effect(rules: dict[str, list[str]], tool: str, subject: str = "", tree: Path = TREE, **arguments: Any) -> str:
    keys = {"Bash": "command", "WebFetch": "url", "Agent": "subagent_type", "Skill": "skill", "Grep": "path"}
    if subject:
        arguments = {keys.get(tool, "file_path"): subject, **arguments}
    return ruleset(rules, tree).decide(tool, arguments).effect


ALLOW_RUN = {"allow": ["Bash(npm run:*)"]}
BASH = [
    # the whole tool, exactly, and by a beginning
    ({"allow": ["Bash"]}, "anything at all", "allow"),
    ({"allow": ["Bash(*)"]}, "anything at all", "allow"),
    ({"deny": ["Bash"], "allow": ["Bash(npm test)"]}, "npm test", "deny"),
    ({"allow": ["Bash(npm run build)"]}, "npm run build", "allow"),
    ({"allow": ["Bash(npm run build)"]}, "npm run build --watch", "ask"),
    ({"allow": ["Bash(npm run test *)"]}, "npm run test unit", "allow"),
    ({"allow": ["Bash(npm run test:*)"]}, "npm run test unit", "allow"),
    ({"allow": ["Bash(npm run test:*)"]}, "npm run test", "allow"),
    ({"allow": ["Bash(npm run test:*)"]}, "npm run testing", "ask"),
    ({"allow": ["Bash(npm run test*)"]}, "npm run testing", "allow"),
    ({"allow": ["Bash(touch *)"]}, "touch a", "allow"),
    ({"allow": ["Bash(touch *)"]}, "touch", "allow"),
    ({"allow": ["Bash(touch *)"]}, "touchy", "ask"),
    ({"allow": ["Bash(git:* push)"]}, "git push", "ask"),
    ({"allow": ["Bash(* install)"]}, "npm install", "allow"),
    ({"allow": ["Bash(git * main)"]}, "git checkout main", "allow"),
    ({"allow": ["Bash(git * main)"]}, "git push origin main", "allow"),
    ({"allow": ["Bash(git * main)"]}, "git push origin dev", "ask"),
    ({"allow": ["Bash(npm  run   x)"]}, "npm run x", "allow"),
    ({"allow": ['Bash(git commit -m "a b")']}, 'git commit -m "a b"', "allow"),
    # the order of the lists
    ({"deny": ["Bash(aws *)"], "allow": ["Bash(aws s3 ls)"]}, "aws s3 ls", "deny"),
    ({"ask": ["Bash(git push:*)"], "allow": ["Bash(git:*)"]}, "git push", "ask"),
    ({"deny": ["Bash(rm:*)"], "ask": ["Bash"], "allow": ["Bash"]}, "rm x", "deny"),
    # each part of a compound command
    (ALLOW_RUN, "npm run a && git push", "ask"),
    (ALLOW_RUN, "npm run a; npm run b", "allow"),
    (ALLOW_RUN, "npm run a || npm run b | npm run c |& npm run d & npm run e\nnpm run f", "allow"),
    (ALLOW_RUN, "npm run a\ngit push", "ask"),
    (ALLOW_RUN, "npm run a & git push", "ask"),
    (ALLOW_RUN, "(npm run a; git push)", "ask"),
    (ALLOW_RUN, "npm run $(git push)", "ask"),
    (ALLOW_RUN, "npm run `git push`", "ask"),
    (ALLOW_RUN, "npm run <(git push)", "ask"),
    (ALLOW_RUN, "npm run $X", "allow"),
    (ALLOW_RUN, "npm run 'a && git push'", "allow"),
    ({"deny": ["Bash(git push:*)"], "allow": ["Bash"]}, "npm test && git push origin", "deny"),
    ({"allow": ["Bash(cd:*)", "Bash(npm test)"]}, "cd x && npm test", "allow"),
    # words that change nothing
    (ALLOW_RUN, "timeout 30 npm run a", "allow"),
    (ALLOW_RUN, "timeout -k 5 30 npm run a", "allow"),
    (ALLOW_RUN, "time npm run a", "allow"),
    (ALLOW_RUN, "nice -n 5 npm run a", "allow"),
    (ALLOW_RUN, "nohup npm run a", "allow"),
    (ALLOW_RUN, "stdbuf -oL npm run a", "allow"),
    (ALLOW_RUN, "command npm run a", "allow"),
    (ALLOW_RUN, "nohup timeout 5 npm run a", "allow"),
    ({"allow": ["Bash(grep:*)"]}, "xargs grep x", "allow"),
    ({"allow": ["Bash(grep:*)"]}, "xargs -n1 grep x", "ask"),
    (ALLOW_RUN, "npx npm run a", "ask"),
    (ALLOW_RUN, "docker exec c npm run a", "ask"),
    (ALLOW_RUN, "sudo npm run a", "ask"),
    (ALLOW_RUN, "NODE_ENV=test npm run a", "allow"),
    (ALLOW_RUN, "PATH=/evil npm run a", "ask"),
    (ALLOW_RUN, "LD_PRELOAD=x npm run a", "ask"),
    (ALLOW_RUN, "PATH=/evil; npm run a", "ask"),
    # what runs something else is opened by its whole text alone
    ({"allow": ["Bash(watch:*)"]}, "watch ls", "ask"),
    ({"allow": ["Bash(setsid *)"]}, "setsid npm test", "ask"),
    ({"allow": ["Bash(flock:*)"]}, "flock /tmp/l npm test", "ask"),
    ({"allow": ["Bash(watch ls)"]}, "watch ls", "allow"),
    ({"allow": ["Bash(find:*)"]}, "find . -name x", "allow"),
    ({"allow": ["Bash(find:*)"]}, "find . -exec rm {} ;", "ask"),
    ({"allow": ["Bash(find *)"]}, "find . -delete", "ask"),
    ({"allow": ["Bash(find . -delete)"]}, "find . -delete", "allow"),
    # places a command writes are part of what it is
    ({"allow": ["Bash(npm test)"]}, "npm test 2>&1 >/dev/null", "allow"),
    ({"allow": ["Bash(npm test)"]}, "npm test > x", "ask"),
    # parameters, in deny and ask alone
    ({"deny": ["Bash(run_in_background:true)"], "allow": ["Bash"]}, "sleep 9", "allow"),
    # what cannot be read is not run where a rule could be about it
    ({"deny": ["Bash(rm:*)"], "allow": ["Bash"]}, "echo 'open", "deny"),
    ({"allow": ["Bash"]}, "echo 'open", "deny"),
    # what is known only when it runs is asked about
    ({"deny": ["Bash(npm publish:*)"], "allow": ["Bash"]}, "npm $X", "ask"),
    ({"deny": ["Bash(npm publish:*)"], "allow": ["Bash"]}, "npm $X publish", "ask"),
    ({"deny": ["Bash(npm publish:*)"], "allow": ["Bash"]}, "$X publish", "ask"),
    ({"deny": ["Bash(npm publish:*)"], "allow": ["Bash"]}, "cargo $X", "allow"),
    # only looking is not asked about by a default
    ({}, "ls -la && git status | head -3", "allow"),
    ({}, "git push", "ask"),
    ({}, "cat x > y", "ask"),
]


@pytest.mark.parametrize(("rules", "command", "expected"), BASH)
def test_a_command_is_decided_as_documented(rules: dict[str, list[str]], command: str, expected: str) -> None:
    assert effect(rules, "Bash", command) == expected


ENV = {"deny": ["Read(.env)"], "allow": ["Read"]}
FILES = [
    ({"allow": ["Edit"]}, "Write", "x", "allow"),
    ({"allow": ["Edit(src/**)"]}, "Write", "src/a/b.py", "allow"),
    ({"allow": ["Edit(src/**)"]}, "Edit", "lib/src/a.py", "ask"),
    ({"deny": ["Edit(src/**)"], "allow": ["Edit"]}, "Edit", "lib/src/a.py", "deny"),
    ({"allow": ["Edit(/src/**/*.ts)"]}, "Edit", "src/a/b.ts", "allow"),
    ({"allow": ["Edit(/src/**/*.ts)"]}, "Edit", "src/b.ts", "allow"),
    ({"allow": ["Edit(/src/**/*.ts)"]}, "Edit", "src/b.js", "ask"),
    ({"allow": ["Edit(/src/*.ts)"]}, "Edit", "src/a/b.ts", "ask"),
    ({"allow": ["Edit(*.md)"]}, "Edit", "docs/deep/x.md", "allow"),
    ({"allow": ["Edit(./*.md)"]}, "Edit", "docs/x.md", "ask"),
    ({"allow": ["Edit(docs/)"]}, "Edit", "docs/a/b", "allow"),
    ({"allow": ["Edit(src/?.py)"]}, "Edit", "src/a.py", "allow"),
    ({"allow": ["Edit(src/[ab].py)"]}, "Edit", "src/b.py", "allow"),
    ({"allow": ["Edit(src/[!ab].py)"]}, "Edit", "src/b.py", "ask"),
    ({"allow": ["Edit(//tree-of-no-machine/work/x)"]}, "Edit", "x", "allow"),
    ({"deny": ["Read(//etc/**)"]}, "Read", "/etc/passwd", "deny"),
    ({"deny": ["Read(//etc/**)"]}, "Read", "../../etc/passwd", "deny"),
    ({"deny": ["Read(~/.ssh/**)"]}, "Read", "~/.ssh/id", "deny"),
    (ENV, "Read", ".env", "deny"),
    (ENV, "Read", "a/b/.env", "deny"),
    (ENV, "Read", "a/../.env", "deny"),
    (ENV, "Read", "a/.env.example", "allow"),
    (ENV, "Grep", ".env", "deny"),
    (ENV, "Edit", ".env", "deny"),
    ({"deny": ["Read(./secrets/**)"]}, "Read", "secrets/a/b", "deny"),
    ({"deny": ["Read(./secrets/**)"]}, "Read", "other/secrets/a", "allow"),
    ({"deny": ["Edit(/src/**)"]}, "Read", "src/a", "allow"),
]


@pytest.mark.parametrize(("rules", "tool", "path", "expected"), FILES)
def test_a_file_is_decided_as_documented(rules: dict[str, list[str]], tool: str, path: str, expected: str) -> None:
    assert effect(rules, tool, path) == expected


OTHERS = [
    ({"allow": ["WebFetch(domain:example.com)"]}, "WebFetch", {"url": "https://example.com/a"}, "allow"),
    ({"allow": ["WebFetch(domain:example.com)"]}, "WebFetch", {"url": "https://EXAMPLE.com.:443/"}, "allow"),
    ({"allow": ["WebFetch(domain:example.com)"]}, "WebFetch", {"url": "https://www.example.com"}, "ask"),
    ({"allow": ["WebFetch(domain:example.com)"]}, "WebFetch", {"url": "https://example.com@evil.net/"}, "ask"),
    ({"allow": ["WebFetch(domain:example.com)"]}, "WebFetch", {"url": "https://evil.net/example.com"}, "ask"),
    ({"allow": ["WebFetch(domain:*.example.com)"]}, "WebFetch", {"url": "https://a.b.example.com"}, "allow"),
    ({"allow": ["WebFetch(domain:*.example.com)"]}, "WebFetch", {"url": "https://example.com"}, "ask"),
    ({"allow": ["WebFetch(domain:*.example.com)"]}, "WebFetch", {"url": "https://notexample.com"}, "ask"),
    ({"allow": ["WebFetch(domain:*)"]}, "WebFetch", {"url": "http://any.where"}, "allow"),
    ({"allow": ["mcp__github"]}, "mcp__github__search", {}, "allow"),
    ({"allow": ["mcp__github__*"]}, "mcp__github__search", {}, "allow"),
    ({"allow": ["mcp__github__search"]}, "mcp__github__delete", {}, "ask"),
    ({"allow": ["mcp__git"]}, "mcp__github__search", {}, "ask"),
    ({"deny": ["mcp__*"], "allow": ["mcp__github"]}, "mcp__github__search", {}, "deny"),
    ({"deny": ["mcp__github__delete*"]}, "mcp__github__delete_repo", {}, "deny"),
    ({"deny": ["Agent(Explore)"]}, "Agent", {"subagent_type": "Explore"}, "deny"),
    ({"deny": ["Task(Explore)"]}, "Agent", {"subagent_type": "Explore"}, "deny"),
    ({"deny": ["Agent(Explore)"]}, "Agent", {"subagent_type": "Plan"}, "ask"),
    ({"deny": ["Agent(model:opus)"]}, "Agent", {"subagent_type": "Plan", "model": "opus"}, "deny"),
    ({"allow": ["Agent(model:opus)"]}, "Agent", {"subagent_type": "Plan", "model": "opus"}, "ask"),
    ({"deny": ["Skill(deploy)"]}, "Skill", {"skill": "deploy", "args": "prod"}, "deny"),
    ({"deny": ["Skill(deploy *)"]}, "Skill", {"skill": "deploy", "args": "prod"}, "deny"),
    ({"deny": ["Skill(deploy)"]}, "Skill", {"skill": "deployment"}, "allow"),
    ({"deny": ["Bash(run_in_background:true)"]}, "Bash", {"command": "x", "run_in_background": True}, "deny"),
    ({"ask": ["mcp__db__query(mode:write*)"]}, "mcp__db__query", {"mode": "write-all"}, "ask"),
    ({"deny": ["*"]}, "Read", {"file_path": "x"}, "deny"),
]


@pytest.mark.parametrize(("rules", "tool", "arguments", "expected"), OTHERS)
def test_other_tools_are_decided_as_documented(
    rules: dict[str, list[str]], tool: str, arguments: dict[str, Any], expected: str
) -> None:
    assert ruleset(rules).decide(tool, arguments).effect == expected


def test_a_link_is_opened_only_if_both_its_ends_are_and_closed_if_either_is(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "key").write_text("k")
    (tmp_path / "open" / "link").symlink_to("../shut/key")
    allowed = {"allow": ["Edit(/open/**)"]}
    assert effect(allowed, "Edit", "open/plain", tmp_path) == "allow"
    assert effect(allowed, "Edit", "open/link", tmp_path) == "ask"
    assert effect({"deny": ["Read(/shut/**)"]}, "Read", "open/link", tmp_path) == "deny"
    assert effect({"deny": ["Read(/open/link)"]}, "Read", "open/link", tmp_path) == "deny"


@pytest.mark.parametrize(
    "command",
    [
        "cat secrets/key",
        "cd secrets && cat key",
        "cd ./secrets; head -1 ./key",
        "(cd secrets && tail key)",
        "cat < secrets/key",
        "bash -c 'cat secrets/key'",
        "cat se''crets/k\\ey",
        "timeout 5 cat -- other/../secrets/key",
        "grep -r x --file=secrets/key .",
        "echo x > secrets/key",
        "cp secrets/key out",
    ],
)
def test_a_closed_file_is_closed_for_commands_that_name_it(command: str) -> None:
    assert effect({"deny": ["Read(./secrets/**)"], "allow": ["Bash"]}, "Bash", command) == "deny"


@pytest.mark.parametrize("command", ["cat sec*/key", "cat $X", "cd $D && cat key", "cat {secrets/key,x}"])
def test_a_file_that_may_be_a_closed_one_is_asked_about(command: str) -> None:
    assert effect({"deny": ["Read(./secrets/**)"], "allow": ["Bash"]}, "Bash", command) == "ask"


def test_a_grant_answers_asking_and_never_a_deny() -> None:
    rules = {"ask": ["Bash(npm:*)"], "deny": ["Bash(npm publish:*)"]}
    given = ruleset(rules, granted=("Bash(npm:*)",))
    assert given.decide("Bash", {"command": "npm test"}).why == "granted at a gate"
    assert given.decide("Bash", {"command": "npm publish"}).effect == "deny"
    assert given.decide("Bash", {"command": "npm $X"}).effect == "ask"
    assert given.decide("Bash", {"command": "npm test && make"}).effect == "ask"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bash(", "is not a rule"),
        ("", "is not a rule"),
        ("Bash(\ue000)", "is not a rule"),
        ("Write(src/**)", "write Edit(src/**)"),
        ("Grep(src/**)", "write Read(src/**)"),
        ("Read(!x)", "cannot be negated"),
        ("WebFetch(example.com)", "write WebFetch(domain:example.com)"),
        ("mcp__*", "names its tool"),
        ("*", "names its tool"),
    ],
)
def test_a_rule_that_could_never_match_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(BadRule) as refused:
        Rule.parse(RuleText("allow", text))
    assert said in str(refused.value)


def test_a_bad_rule_stops_where_it_would_have_closed_something() -> None:
    with pytest.raises(ConfigurationError, match=r"multi-agent.yaml:7: .*would never match"):
        compile_rules([RuleText("deny", "Write(x)", "config", "multi-agent.yaml", 7)], TREE)
    with pytest.raises(ConfigurationError, match=r"settings.json:3: .*not a rule"):
        compile_rules([RuleText("deny", "Bash(rm", "project", "settings.json", 3)], TREE)
    rules, warnings = compile_rules([RuleText("allow", "Bash(rm", "project", "settings.json", 3)], TREE)
    assert (rules.rules, len(warnings)) == ((), 1)


@pytest.mark.parametrize(
    ("tool", "arguments", "proposed"),
    [
        ("Bash", {"command": "npm run test -- --watch"}, ("Bash(npm run test:*)",)),
        ("Bash", {"command": "pytest -q tests"}, ("Bash(pytest:*)",)),
        ("Bash", {"command": "cargo build && cargo test --all"}, ("Bash(cargo build:*)", "Bash(cargo test:*)")),
        ("Bash", {"command": "git push origin main"}, ("Bash(git push origin main)",)),
        ("Bash", {"command": "bash -c 'npm test'"}, ("Bash(bash -c 'npm test')",)),
        ("Bash", {"command": "python3 x.py"}, ("Bash(python3 x.py)",)),
        ("Bash", {"command": "python3 $X"}, ()),
        ("Bash", {"command": "$X y"}, ()),
        ("Bash", {"command": "git commit -m '*'"}, ()),
        ("Edit", {"file_path": "src/a/b.py"}, ("Edit(/src/a/**)",)),
        ("Write", {"file_path": "README.md"}, ("Edit(/README.md)",)),
        ("Write", {"file_path": "/elsewhere/x"}, ()),
        ("WebFetch", {"url": "https://docs.example.com/x"}, ("WebFetch(domain:docs.example.com)",)),
        ("mcp__a__b", {}, ("mcp__a__b",)),
    ],
)
def test_what_is_proposed_would_let_the_call_pass_and_little_more(
    tool: str, arguments: dict[str, Any], proposed: tuple[str, ...]
) -> None:
    rules = ruleset()
    assert propose(rules, tool, arguments) == proposed
    if proposed:
        assert ruleset(granted=proposed).decide(tool, arguments).effect == "allow"


# -- for every rule and every command

WORD = st.sampled_from(["git", "npm", "rm", "push", "run", "test", "-rf", "x", "origin", "main", "a b", "s/k", "--all"])
PLAIN = st.lists(WORD, min_size=1, max_size=4).map(lambda words: " ".join(f"'{w}'" if " " in w else w for w in words))
RULE = st.one_of(
    st.just("Bash"),
    PLAIN.filter(lambda text: "'" not in text).flatmap(
        lambda text: st.sampled_from([f"Bash({text})", f"Bash({text}:*)", f"Bash({text} *)", f"Bash(* {text})"])
    ),
)
RULES = st.fixed_dictionaries({name: st.lists(RULE, max_size=3) for name in EFFECTS})
RANK = {"deny": 0, "ask": 1, "allow": 2}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SPELLED = [
    lambda c: c,
    lambda c: f"\\{c}",
    lambda c: f"/usr/bin/{c}",
    lambda c: f"{c[0]}''{c[1:]}",
    lambda c: f'"{c.split(" ")[0]}"{c[len(c.split(" ")[0]) :]}',
    lambda c: c.replace(" ", "  \t", 1),
]
BEFORE = [
    lambda c: f"timeout 5 {c}",
    lambda c: f"nohup {c}",
    lambda c: f"env A=1 {c}",
    lambda c: f"sudo {c}",
    lambda c: f"xargs -n1 {c}",
    lambda c: f"find . -exec {c} \\;",
    lambda c: f"sh -c {quoted(c)}",
    lambda c: f"bash -lc {quoted('true; ' + c)}",
    lambda c: f"eval {quoted(c)}",
]
AROUND = [
    lambda c: f"true && {c}",
    lambda c: f"false || ({c})",
    lambda c: f"echo $({c})",
    lambda c: f"echo `{c}`" if "`" not in c and "\\" not in c else c,
    lambda c: f"if true; then {c}; fi",
    lambda c: f"{{ {c}; }} > out",
    lambda c: f"bash -c {quoted(c)}",
    lambda c: f"cat <({c})",
]
REWORDED = st.tuples(
    st.sampled_from(SPELLED),
    st.lists(st.sampled_from(BEFORE), max_size=2),
    st.sampled_from([lambda c: c, lambda c: f"X=1 {c}", lambda c: f"{c} > out"]),
    st.lists(st.sampled_from(AROUND), max_size=2),
)


def reworded(command: str, how: tuple[Any, list[Any], Any, list[Any]]) -> str:
    """The same command to the shell: spelled otherwise, behind wrappers, inside other commands."""
    spell, before, assign, around = how
    command = spell(command)
    for each in before:
        command = each(command)
    command = assign(command)
    for each in around:
        command = each(command)
    return command


@settings(max_examples=150, deadline=None)
@given(RULES, PLAIN)
def test_a_deny_rule_that_matches_always_wins(rules: dict[str, list[str]], command: str) -> None:
    if ruleset({"deny": rules["deny"], "allow": ["Bash"]}).decide("Bash", {"command": command}).effect == "deny":
        assert effect(rules, "Bash", command) == "deny"


@settings(max_examples=300, deadline=None)
@given(PLAIN.filter(lambda text: text.split()[0].isalpha()), REWORDED, st.booleans())
def test_no_rewording_makes_a_denied_command_an_allowed_one(command: str, how: Any, begins: bool) -> None:
    text = command.split(" '")[0]
    rules = {"deny": [f"Bash({text}:*)" if begins else f"Bash({text} *)"], "allow": ["Bash"]}
    assert effect(rules, "Bash", command) == "deny"
    said = reworded(command, how)
    assert effect(rules, "Bash", said) != "allow", said


@settings(max_examples=150, deadline=None)
@example(
    {"deny": [], "ask": [], "allow": []}, "Bash(* git)", "npm", (str, [lambda c: f"xargs -n1 {c}"], str, []), "deny"
)
@given(RULES, RULE, PLAIN, REWORDED, st.sampled_from(["allow", "ask", "deny"]))
def test_one_more_deny_rule_never_allows_more(
    rules: dict[str, list[str]], more: str, command: str, how: Any, default: str
) -> None:
    command = reworded(command, how)
    before = ruleset(rules, default=default).decide("Bash", {"command": command}).effect
    after = ruleset({**rules, "deny": [*rules["deny"], more]}, default=default).decide("Bash", {"command": command})
    assert RANK[after.effect] <= RANK[before]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=30))
def test_no_text_makes_the_judge_fail(command: str, spec: str) -> None:
    try:
        rule = Rule.parse(RuleText("deny", f"Bash({spec})"))
    except BadRule:
        return
    rules = RuleSet(ruleset().bases, (rule,), (), "allow")
    assert rules.decide("Bash", {"command": command}).effect in EFFECTS
    assert rules.decide("Read", {"file_path": command}).effect in EFFECTS


def test_a_pattern_full_of_wildcards_costs_little() -> None:
    star, path = "Bash(" + "*a" * 200 + "b)", "Read(" + "**/*a*a*a*a*a*a/" * 40 + "b)"
    assert effect({"deny": [star], "allow": ["Bash"]}, "Bash", "a" * 20_000) == "allow"
    assert effect({"deny": [path], "allow": ["Read"]}, "Read", "a" * 200 + "/" + "a/" * 100) == "allow"
