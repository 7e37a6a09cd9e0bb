"""Commands are judged before they run: restricted ones, raw git writes and outside targets in any spelling."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.tools import Bench, bench

from swarm_core.tools.shell import check_command, restricted_commands
from swarm_core.vocabulary.errors import PermissionDenied

RESTRICTED = restricted_commands(["git commit", "gh pr create", "npm publish", "WebFetch", "mcp__web", "plan_tasks"])


@pytest.fixture
def room(tmp_path: Path) -> Bench:
    return bench(tmp_path)


VERBS = (
    "push merge rebase reset checkout switch stash worktree gc prune config add update-ref fetch pull clean rm mv "
    "apply am restore init clone notes replace filter-branch bisect submodule unknown"
)


def rule_of(room: Bench, command: str) -> str:
    """The rule that refuses a command, empty if it may run."""
    variables = {"HOME": str(room.scratch), "TMPDIR": str(room.scratch / "tmp")}
    try:
        check_command(command, scope=room.scope, restricted=RESTRICTED, variables=variables)
    except PermissionDenied as refused:
        return refused.rule if refused.hint and refused.target else "a refusal without a hint or a target"
    return ""


def test_entries_that_name_tools_are_no_commands() -> None:
    assert RESTRICTED == (("git", "commit"), ("gh", "pr", "create"), ("npm", "publish"))


@pytest.mark.parametrize(
    "command",
    [
        "git commit -m x",
        "git -C . commit",
        "git -C x -c a=b --git-dir=.git --no-pager commit",
        "git --work-tree . commit",
        "/usr/bin/git commit",
        "~/bin/git commit",
        "g''it commit",
        'g"i"t com"mit"',
        "\\git \\commit",
        "$'\\x67it' commit",
        "git\tcommit",
        "sh -c 'git commit'",
        'bash -lc "git commit"',
        "bash --norc -e -c 'git commit'",
        "sh -c 'sh -c \"git commit\"'",
        "eval git commit",
        "eval -- 'git commit'",
        "trap 'git commit' EXIT",
        "env X=1 git commit",
        "env -u X -S 'git commit'",
        "X=1 Y='2 3' git commit",
        "timeout -s KILL 5 git commit",
        "time git commit",
        "time -p X=1 git commit",
        "nice -n 5 nohup stdbuf -oL git commit",
        "command git commit",
        "builtin exec git commit",
        "sudo -u root git commit",
        "setsid git commit",
        "flock lock git commit",
        "flock lock -c 'git commit'",
        "watch -n 1 git commit",
        "uv run git commit",
        "xargs git commit < list",
        "echo a | xargs -n1 -I{} git commit {}",
        "find . -name x -exec git commit {} +",
        "true && git commit",
        "false || git commit",
        "true; git commit",
        "true\ngit commit",
        "true & git commit",
        "true | git commit",
        "(git commit)",
        "{ git commit; }",
        "! git commit",
        "if true; then git commit; fi",
        "for x do git commit; done",
        "for x in a b; do git commit; done",
        "while git commit; do :; done",
        "case a in b|a) git commit;; esac",
        "f() { git commit; }; f",
        "function f { git commit; }; f",
        "echo $(git commit)",
        "echo `git commit`",
        'echo "$(git commit)"',
        'echo "`sh -c \\"git commit\\"`"',
        "echo ${X:-$(git commit)}",
        "echo $((1 + $(git commit)))",
        "x=$(git commit)",
        "a=(1 $(git commit))",
        "cat <(git commit)",
        "tee >(git commit)",
        "[[ -n $(git commit) ]]",
        "cat <<E\n$(git commit)\nE",
        "bash <<'E'\ngit commit\nE",
        "bash -s <<< 'git commit'",
        "git-commit -a",
        'echo "$\'"; git commit; echo "\'"',
        'echo "$"; git commit; echo "$"',
        "echo \\'; git commit; echo \\'",
        "cat <<'E'\nE\ngit commit",
        "echo '#' ; git commit # comment",
    ],
)
def test_a_restricted_command_is_recognised_in_every_spelling(room: Bench, command: str) -> None:
    assert rule_of(room, command) == "tools_restricted"


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("gh pr create", "tools_restricted"),
        ("gh --repo a/b pr --json create", "tools_restricted"),
        ("gh -R a/b pr create", "tools_restricted"),
        ("gh $X", "tools_restricted"),
        ("npm --prefix x publish", "tools_restricted"),
        ("gh pr list", ""),
        ("gh issue create", ""),
        ("npm run publish", ""),
        ("echo gh pr create", ""),
    ],
)
def test_a_restricted_beginning_matches_words_and_not_text(room: Bench, command: str, rule: str) -> None:
    assert rule_of(room, command) == rule


@pytest.mark.parametrize(
    "command",
    [
        *(f"git {verb}" for verb in re.findall(r"\S+", VERBS)),
        "git branch new",
        "git tag v1",
        "git branch -D x",
        "git remote add a b",
        "git -c core.fsmonitor=./x status",
        "git --config-env=core.pager=X status",
        "git --exec-path=. status",
        "git grep -O./x a",
        "git grep --open-files-in-pager=x a",
        "git diff --ext-diff",
        "GIT push",
    ],
)
def test_git_that_may_write_is_always_refused(room: Bench, command: str) -> None:
    assert rule_of(room, command) == "raw_git"


@pytest.mark.parametrize(
    "command",
    [
        "git status --short",
        "git diff HEAD~1 -- backend | head -20",
        "git log --grep commit --oneline -n 3",
        "git -C backend show HEAD:backend/app.py",
        "git --no-pager -c color.ui=never blame app.py",
        "git branch",
        "git branch --show-current",
        "git tag --list",
        "git ls-files | wc -l",
        "git rev-parse HEAD",
        "git --version",
        "command -v git",
        "python -m pytest -q 2>&1 | tail -5",
        'for f in backend/*.py; do python -m py_compile "$f" || exit 1; done',
        "if [ -f backend/app.py ] && [[ $X =~ ^(a|b)$ ]]; then echo yes; fi",
        "cat > backend/new.py <<'PY'\nprint(\"$(git push) `x`\")\nPY",
        "find . -name '*.py' -exec grep -l app {} +",
        "awk '{print $1}' backend/app.py | sort -u > backend/out.txt",
        "source .venv/bin/activate && pytest",
        '"$VIRTUAL_ENV"/bin/python -c "print(1)"',
        "trap - EXIT; trap 'rm -f backend/x' EXIT",
        "echo git commit",
        "echo 'git commit; git push'",
        "grep -rn 'git commit' .",
        "cd backend && (cd .. && ls) && echo x > a && rm a",
        "((i = 1 > 0)) && echo $((2 > 1))",
        "ls \\\n  -la",
        "sh backend/run.sh",
        "make -C backend test > /dev/null 2>&1 < /dev/null",
    ],
)
def test_ordinary_work_is_not_refused(room: Bench, command: str) -> None:
    assert rule_of(room, command) == ""


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("$X commit", "hidden_command"),
        ("X=git; $X commit", "hidden_command"),
        ("$(echo git) commit", "hidden_command"),
        ("X='git commit -m '; $X/y", "hidden_command"),
        ("git $X", "hidden_command"),
        ("git -C $X status", "hidden_command"),
        ("{git,commit}", "hidden_command"),
        ("git {commit,-m,x}", "hidden_command"),
        ("/usr/bin/gi? commit", "hidden_command"),
        ("timeout $X git status", "hidden_command"),
        ("echo commit | xargs git", "hidden_command"),
        ("echo 'git commit' | sh", "hidden_command"),
        ("cat <<E | bash\ngit commit\nE", "hidden_command"),
        ('bash -c "$X"', "hidden_command"),
        ("bash <(echo git commit)", "hidden_command"),
        (". /dev/stdin", "hidden_command"),
        ("source <(echo git commit)", "hidden_command"),
        ("eval $X", "hidden_command"),
        ("alias g=git", "hidden_command"),
        ("env -S \"'git' commit\"", "hidden_command"),
        ("echo 'a", "unreadable"),
        ('echo "a', "unreadable"),
        ("echo $(", "unreadable"),
        ("(ls", "unreadable"),
        ("ls)", "unreadable"),
        ("g\\\nit commit", "unreadable"),
        ("echo ${x%'}'}; git commit #'", "unreadable"),
        ("echo $[1 #' ]; git commit '", "unreadable"),
        ('echo "$\\\n(git commit)"', "unreadable"),
        ("cat <<E$X\nE$X\ngit commit", "unreadable"),
        ("cat <<E\nno end", "unreadable"),
        ("cat <<E\nfoo \\\nE\n'\nE\ngit commit '", "unreadable"),
        ("${ git commit; }", "unreadable"),
        ("coproc git commit", "unreadable"),
        ("( " * 60 + "ls" + " )" * 60, "unreadable"),
        ("echo " + "${a:-" * 4000, "unreadable"),
        ("echo " + "x" * 70_000, "unreadable"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(room: Bench, command: str, rule: str) -> None:
    assert rule_of(room, command) == rule


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("echo x > /etc/passwd", "outside_tree"),
        ("echo x >> ../outside/secret", "outside_tree"),
        ("echo x >| frontend/a", "directories"),
        ("echo x &> frontend/a", "directories"),
        ("echo x >& frontend/a", "directories"),
        ("exec 3<> frontend/a", "directories"),
        ("for x in a; do echo; done > frontend/a", "directories"),
        ("X=1 [[ > /etc/x ]]", "outside_tree"),
        ("echo x > .git", "git_dir"),
        ("echo x > backend/.GIT/config", "git_dir"),
        ("echo x | tee -a backend/a /etc/b", "outside_tree"),
        ("dd if=/dev/zero of=/dev/sda", "outside_tree"),
        ("cp backend/app.py /opt/x", "outside_tree"),
        ("cp -t /opt backend/app.py", "outside_tree"),
        ("mv frontend/page.ts backend/", "directories"),
        ("mv backend/app.py /opt", "outside_tree"),
        ("ln -s /etc frontend/x", "directories"),
        ("ln backend/app.py", "directories"),
        ("rm -rf /opt/*", "outside_tree"),
        ("rm -rf frontend/*", "directories"),
        ("rm -f -- -x ../outside/secret", "directories"),
        ("mkdir -p backend/a /opt/x", "outside_tree"),
        ("touch frontend/x", "directories"),
        ("sed -i s/a/b/ frontend/page.ts", "directories"),
        ("sed -Ei -e s/a/b/ frontend/page.ts", "directories"),
        ("perl -pi -e s/a/b/ frontend/page.ts", "directories"),
        ("chmod -R 777 /opt", "outside_tree"),
        ("curl -o /opt/x http://localhost", "outside_tree"),
        ("sort -o/opt/x backend/app.py", "outside_tree"),
        ("git diff --output=/opt/x", "outside_tree"),
        ("truncate -s 0 frontend/page.ts", "directories"),
        ("cd .. && touch x", "outside_tree"),
        ("cd backend; touch ../x", "directories"),
        ("(cd backend); touch x", "directories"),
        ("cd /opt && touch x", "outside_tree"),
        ("echo x > /etc/$NAME", "outside_tree"),
        ("echo x > /tmp/x", "outside_tree"),
        ("echo x > $PWD/frontend/x", "directories"),
        ("timeout 5 touch /opt/x", "outside_tree"),
        ("sh -c 'touch /opt/x'", "outside_tree"),
        ("find . -exec touch /opt/x \\;", "outside_tree"),
        ("echo x > /dev/tcp/localhost/80", "outside_tree"),
        ("echo x > /dev/shm/../../etc/x", "outside_tree"),
        ("echo x > backend/a 2> /dev/null", ""),
        ("echo x 2>&1 >&2 3>&-", ""),
        ("echo x > $TMPDIR/x; echo x > ~/y; touch ${HOME}/z", ""),
        ("cd backend && touch app.py ../backend/x", ""),
        ("cp /etc/hostname backend/", ""),
        ("rm -rf backend/*.pyc", ""),
        ("sed -n 1p frontend/page.ts", ""),
        ("cat frontend/page.ts > backend/$NAME", ""),
        ("cat < /etc/hostname", ""),
        ("echo x > /dev/stderr", ""),
    ],
)
def test_a_written_place_is_judged_by_the_scope(room: Bench, command: str, rule: str) -> None:
    assert rule_of(room, command) == rule


def test_a_link_out_of_the_tree_may_be_removed_but_not_written_through(room: Bench) -> None:
    (room.tree / "backend" / "away").symlink_to(room.outside)
    assert rule_of(room, "rm backend/away") == ""
    assert rule_of(room, "rm backend/away/secret") == "symlink"
    assert rule_of(room, "echo x > backend/away/secret") == "symlink"


def test_a_service_that_only_reads_may_write_to_scratch_alone(tmp_path: Path) -> None:
    room = bench(tmp_path, access_level="global_read", directories=("/",))
    assert rule_of(room, "touch backend/x") == "access_level"
    assert rule_of(room, "touch $TMPDIR/x && ls > $TMPDIR/list") == ""


def test_the_refusal_of_tmp_names_the_directory_to_use_instead(room: Bench) -> None:
    with pytest.raises(PermissionDenied, match=r"\$TMPDIR"):
        check_command("echo x > /tmp/x", scope=room.scope)


TOKENS = re.split(
    "§",
    "git commit§git commit§ § § §\n§;§&&§(§)§{ § }§$(§)§`§'§\"§\\§$§${§}§X§#§<<E§<<'E'§\nE\n§<<<§[[§]]§((§))§$((§*§~"
    "§|§||§case X in§esac§X)§;;§for X in§for X§do§done§if§then§fi§eval§sh -c§bash -c§env§xargs§echo§cat§X=§X=git§$X"
    "§&§|&§${X:-§$'§\\'§\\\"§$\"§!§=§<(§>(§>§f§2>§&>§function§X()§time§time command§timeout 1§-c"
    '§{git,commit}§\t§\\\n§E§eval --§set --§"$@"§$*§trap§EXIT§exec§coproc§alias g=git§g§$[§env -S',
)


def test_no_accepted_text_makes_bash_run_a_git_commit(room: Bench) -> None:
    """Bash is the oracle: random texts that the judge lets pass run with a git that writes down its arguments."""
    tools, log = room.place / "bin", room.place / "log"
    tools.mkdir()
    recorder = tools / "git"
    recorder.write_text(f'#!/bin/sh\necho "$1" >> {log}\n')
    recorder.chmod(0o755)
    for name in ("sh", "bash", "env", "cat", "xargs", "echo", "timeout"):
        (tools / name).symlink_to(shutil.which(name) or name)
    chance, ran = random.Random(20_261_121), 0
    for _ in range(8_000):
        text = "".join(chance.choice(TOKENS) + chance.choice(["", " "]) for _ in range(chance.randint(2, 12)))
        if "git commit" not in text or rule_of(room, text):
            continue
        ran += 1
        subprocess.run(
            ["bash", "--noprofile", "--norc", "-c", text],
            cwd=room.tree / "backend",
            env={"PATH": str(tools)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
        assert not log.exists() or "commit" not in log.read_text().split("\n"), text
    assert ran > 50
