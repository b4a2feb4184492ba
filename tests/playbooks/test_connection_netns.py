# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces as Ansible hosts: on the controller, and on a machine behind a real SSH server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import play, settings

MakeNetns = Callable[[], Namespace]

ANSIBLE_DOC = Path(sys.executable).parent / "ansible-doc"
PORT = 2222
UID = 61234  # of nobody in particular
LITERAL = {"expand_argument_vars": False}
WHERE = {"name": "where", "ansible.builtin.command": "readlink /proc/self/ns/net"}


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, since SSH's control sockets lie below it; open to the users the tests play."""
    made = Path(tempfile.mkdtemp(prefix="rempart-"))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def inode(namespace: Namespace) -> str:
    """The namespace as a process in it sees it: ``net:[INODE]``."""
    return "net:[%d]" % os.stat(namespace.path).st_ino


@pytest.fixture(params=[True, False], ids=["pipelining", "files"])
def pipelining(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Host variables that switch pipelining on or off."""
    return {"ansible_pipelining": request.param}


def test_every_host_works_in_its_own_namespace(
    directory: Path, make_netns: MakeNetns, pipelining: dict[str, Any]
) -> None:
    left, right = make_netns(), make_netns()
    veth(left, right, "192.0.2.1/24", "192.0.2.2/24", "towards-right", "towards-left")
    hosts = {left.name: pipelining, "right": {**pipelining, "ansible_netns_name": right.name}}
    tasks = [
        WHERE,
        {"name": "devices", "ansible.builtin.command": "ls /sys/class/net"},
        {"name": "facts", "ansible.builtin.setup": {"gather_subset": ["!all", "network"]}},
    ]
    done = play(directory, hosts, tasks)
    for host, namespace, device, address in (
        (left.name, left, "towards-right", "192.0.2.1"),
        ("right", right, "towards-left", "192.0.2.2"),
    ):
        assert done.of("where", host)["stdout"] == inode(namespace)
        assert set(done.of("devices", host)["stdout_lines"]) == {"lo", device}
        facts = done.of("facts", host)["ansible_facts"]
        assert set(facts["ansible_interfaces"]) == {"lo", device}
        assert facts["ansible_all_ipv4_addresses"] == [address]
        # Read from /sys, which must be the namespace's own.
        assert facts["ansible_" + device.replace("-", "_")]["speed"] == 10000


def test_files_go_there_and_back(directory: Path, netns: Namespace, pipelining: dict[str, Any]) -> None:
    content = bytes(range(256)) * 400
    (directory / "sent").write_bytes(content)
    copy = {"src": str(directory / "sent"), "dest": str(directory / "there"), "mode": "0600"}
    fetch = {"src": str(directory / "there"), "dest": str(directory / "back"), "flat": True}
    tasks = [
        {"name": "copy", "ansible.builtin.copy": copy},
        {"name": "again", "ansible.builtin.copy": copy},
        {"name": "fetch", "ansible.builtin.fetch": fetch},
    ]
    done = play(directory, {netns.name: pipelining}, tasks)
    assert done.statuses() == {netns.name: ["changed", "ok", "changed"]}
    assert (directory / "there").read_bytes() == (directory / "back").read_bytes() == content


def test_output_status_and_quoting_arrive_unharmed(
    directory: Path, netns: Namespace, pipelining: dict[str, Any]
) -> None:
    awkward = "a'b\"c $HOME `id` \\n * ;|& é"
    tasks: list[dict[str, Any]] = [
        {"name": "argv", "ansible.builtin.command": {"argv": ["printf", "%s", awkward], **LITERAL}},
        {"name": "pipe", "ansible.builtin.raw": "readlink /proc/self/ns/net | tr a-z A-Z; echo $((40 + 2))"},
        {
            "name": "bare",
            "ansible.builtin.raw": "echo one; readlink /proc/self/ns/net",
            "args": {"executable": ""},
        },
        {"name": "status", "ansible.builtin.raw": "echo lost >&2; exit 83", "ignore_errors": True},
        {"name": "stdin", "ansible.builtin.command": {"cmd": "cat", "stdin": awkward}},
    ]
    done = play(directory, {netns.name: pipelining}, tasks)
    assert done.of("argv")["stdout"] == awkward
    assert done.of("pipe")["stdout_lines"] == [inode(netns).upper(), "42"]
    assert done.of("bare")["stdout_lines"] == ["one", inode(netns)]
    assert (done.of("status")["rc"], done.of("status")["stderr_lines"]) == (83, ["lost"])
    assert done.of("stdin")["stdout"] == awkward


def test_missing_namespace_is_unreachable_and_says_what_to_do(directory: Path, netns: Namespace) -> None:
    hosts: dict[str, dict[str, Any]] = {
        "rempart-absent": {},
        "process": {"ansible_netns_name": "/proc/0/ns/net"},
        "wrong": {"ansible_netns_name": "a/b"},
        netns.name: {},
    }
    done = play(directory, hosts, [WHERE], check=False)
    assert done.statuses() == {
        "rempart-absent": ["unreachable"],
        "process": ["unreachable"],
        "wrong": ["failed"],
        netns.name: ["changed"],
    }
    assert (
        "There is no network namespace rempart-absent on the controller "
        "(looked for /run/netns/rempart-absent): run 'ip netns add rempart-absent' there, "
        "or set ansible_netns_name"
    ) in done.of("where", "rempart-absent")["msg"]
    assert "see that the process whose namespace this is still runs" in done.of("where", "process")["msg"]
    assert "'a/b' cannot be a network namespace's name" in done.of("where", "wrong")["msg"]


def test_namespace_given_as_a_path(
    directory: Path, make_netns: MakeNetns, pipelining: dict[str, Any]
) -> None:
    named, nameless = make_netns(), make_netns()
    veth(named, nameless, name_b="inside")
    child = nameless.popen("sleep", "60")
    while os.stat("/proc/%d/ns/net" % child.pid).st_ino != os.stat(nameless.path).st_ino:
        time.sleep(0.01)
    hosts = {
        "named": {**pipelining, "ansible_netns_name": named.path},
        "process": {**pipelining, "ansible_netns_name": "/proc/%d/ns/net" % child.pid},
    }
    devices = {"name": "devices", "ansible.builtin.shell": "ls /sys/class/net; echo 'it''s' \"$0\""}
    done = play(directory, hosts, [WHERE, devices])
    assert done.of("where", "named")["stdout"] == inode(named)
    assert done.of("where", "process")["stdout"] == inode(nameless)
    assert done.of("devices", "process")["stdout_lines"] == ["inside", "lo", "its /bin/sh"]


def test_controller_in_the_namespace_itself(directory: Path, netns: Namespace) -> None:
    tasks = [{"name": "devices", "ansible.builtin.command": "ls /sys/class/net"}]
    host = {"own": {"ansible_netns_name": "/proc/self/ns/net"}}
    done = play(directory, host, tasks, prefix=netns.argv())
    assert done.of("devices")["stdout"] == "lo"


def test_delegation_loops_and_async(directory: Path, make_netns: MakeNetns) -> None:
    left, right = make_netns(), make_netns()
    hosts = {left.name: {}, right.name: {}, "alias": {"ansible_host": right.name}}
    tasks = [
        {**WHERE, "name": "delegated", "delegate_to": right.name},
        {**WHERE, "name": "alias", "delegate_to": "alias"},
        {**WHERE, "name": "each", "delegate_to": "{{ item }}", "loop": [left.name, right.name, left.name]},
        {**WHERE, "name": "later", "async": 20, "poll": 1},
        {**WHERE, "name": "controller", "delegate_to": "localhost", "vars": {"ansible_connection": "local"}},
    ]
    done = play(directory, hosts, tasks, "--limit", left.name)
    assert done.of("delegated")["stdout"] == inode(right) == done.of("alias")["stdout"]
    found = [one["stdout"] for one in done.of("each")["results"]]
    assert found == [inode(left), inode(right), inode(left)]
    assert done.of("later")["stdout"] == inode(left)
    assert done.of("controller")["stdout"] == os.readlink("/proc/self/ns/net")


def test_become_works_inside(directory: Path, netns: Namespace) -> None:
    tasks = [{**WHERE, "become": True}, {"name": "id", "ansible.builtin.command": "id -un", "become": True}]
    done = play(directory, {netns.name: {"ansible_pipelining": True}}, tasks, become_user="nobody")
    assert done.of("where")["stdout"] == inode(netns)
    assert done.of("id")["stdout"] == "nobody"


def test_many_namespaces_in_one_play(directory: Path, make_netns: MakeNetns) -> None:
    several = [make_netns() for _ in range(12)]
    hosts = {one.name: {"ansible_pipelining": True} for one in several}
    done = play(directory, hosts, [WHERE], "--forks", "4")
    assert {host: done.of("where", host)["stdout"] for host in hosts} == {
        one.name: inode(one) for one in several
    }


# Without root


def passwd(directory: Path) -> tuple[Path, Path]:
    """A user database with the user ``deploy``, at home below ``directory``, and sudoers for it."""
    home = directory / "home"
    (home / ".ssh").mkdir(parents=True)
    users = directory / "passwd"
    users.write_text(
        "root:*:0:0::%s:/bin/sh\ndeploy:*:%d:%d::%s:/bin/sh\nnobody:*:65534:65534::/:/bin/sh\n"
        % (home, UID, UID, home)
    )
    sudoers = directory / "sudoers"
    sudoers.write_text(
        "Defaults !use_pty\nroot ALL=(ALL:ALL) NOPASSWD: ALL\ndeploy ALL=(ALL:ALL) NOPASSWD: ALL\n"
    )
    sudoers.chmod(0o440)
    return users, sudoers


def as_deploy(directory: Path) -> list[str]:
    """The prefix of a command that ``deploy`` runs.

    All it keeps of root is the right to read any file, since the virtual
    environment may be in a place for root alone. The mounts are its own.
    """
    users, sudoers = passwd(directory)
    os.chown(directory / "home", UID, UID)
    script = (
        "mount --bind %s /etc/passwd && mount --bind %s /etc/sudoers && "
        "exec setpriv --reuid=%d --regid=%d --clear-groups --inh-caps=-all,+dac_override "
        '--ambient-caps=+dac_override env HOME=%s USER=deploy "$@"'
    ) % (users, sudoers, UID, UID, directory / "home")
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def test_without_root_the_error_says_what_to_do(directory: Path, netns: Namespace) -> None:
    done = play(directory, {netns.name: {}}, [WHERE], prefix=as_deploy(directory), check=False)
    assert done.statuses() == {netns.name: ["unreachable"]}
    message = done.of("where")["msg"]
    assert "Only root can enter the network namespace %s on the controller" % netns.name in message
    assert "ansible_netns_escalation" in message


def test_escalation_enters_and_gives_the_user_back(
    directory: Path, netns: Namespace, pipelining: dict[str, Any]
) -> None:
    tasks = [
        WHERE,
        {"name": "user", "ansible.builtin.shell": "id -u; id -g; echo $HOME $USER"},
        {"name": "root", "ansible.builtin.shell": "id -u; readlink /proc/self/ns/net", "become": True},
    ]
    hosts = {netns.name: {**pipelining, "ansible_netns_escalation": "sudo -n"}}
    done = play(directory, hosts, tasks, prefix=as_deploy(directory))
    assert done.of("where")["stdout"] == inode(netns)
    assert done.of("user")["stdout_lines"] == [str(UID), str(UID), "%s/home deploy" % directory]
    assert done.of("root")["stdout_lines"] == ["0", inode(netns)]


# Behind SSH


class Machine:
    """A machine of its own: an SSH server on a namespace's loopback, and a directory only it sees."""

    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.namespace = namespace
        self.private = directory / "private"
        self.private.mkdir()
        users, sudoers = passwd(directory)
        home = directory / "home"
        for command in (
            ["dropbearkey", "-t", "ed25519", "-f", str(directory / "host-key")],
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / "key")],
        ):
            subprocess.run(command, check=True, capture_output=True)
        shutil.copy(directory / "key.pub", home / ".ssh/authorized_keys")
        for path in (home / ".ssh/authorized_keys", home / ".ssh", home):
            path.chmod(0o700)
        self._home = home
        script = (
            "mount --bind {users} /etc/passwd && mount --bind {sudoers} /etc/sudoers && "
            "mount -t tmpfs tmpfs {private} && chmod 777 {private} && "
            "exec dropbear -F -E -s -m -p 127.0.0.1:{port} -P {directory}/pid -r {directory}/host-key"
        ).format(users=users, sudoers=sudoers, private=self.private, directory=directory, port=PORT)
        self._log = open(directory / "log", "wb")  # noqa: SIM115
        namespace.popen("sh", "-c", script, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
                if client.connect_ex(("127.0.0.1", PORT)) == 0:
                    break
            time.sleep(0.02)
        else:
            raise AssertionError("dropbear did not start\n" + (directory / "log").read_text())
        options = ["-F /dev/null", "-o StrictHostKeyChecking=no", "-o UserKnownHostsFile=/dev/null"]
        self.variables = {
            "ansible_netns_host": "127.0.0.1",
            "ansible_port": PORT,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(directory / "key"),
            "ansible_ssh_common_args": " ".join(options),
            "ansible_control_path_dir": str(directory / "cp"),
        }

    def login(self, name: str) -> dict[str, Any]:
        """Host variables to log in as this user, whose home must be theirs."""
        uid = UID if name == "deploy" else 0
        for path in (self._home, self._home / ".ssh", self._home / ".ssh/authorized_keys"):
            os.chown(path, uid, uid)
        return {**self.variables, "ansible_user": name}

    def close(self) -> None:
        """Close the server's log; the server ends with its namespace."""
        self._log.close()


@pytest.fixture
def machine(directory: Path, make_netns: MakeNetns) -> Iterator[Machine]:
    """A machine with an SSH server."""
    made = Machine(make_netns().up(), directory)
    yield made
    made.close()


def test_namespace_of_a_remote_machine(
    directory: Path, machine: Machine, netns: Namespace, pipelining: dict[str, Any]
) -> None:
    veth(netns, machine.namespace, name_a="uplink")
    content = bytes(range(256)) * 400
    (directory / "sent").write_bytes(content)
    there = str(machine.private / "there")
    tasks: list[dict[str, Any]] = [
        WHERE,
        {"name": "way", "ansible.builtin.shell": "echo $SSH_CONNECTION"},
        {"name": "devices", "ansible.builtin.command": "ls /sys/class/net"},
        {"name": "quoting", "ansible.builtin.command": {"argv": ["printf", "%s", "a'b\"c $HOME"], **LITERAL}},
        {"name": "status", "ansible.builtin.raw": "exit 83", "ignore_errors": True},
        {
            "name": "copy",
            "ansible.builtin.copy": {"src": str(directory / "sent"), "dest": there, "mode": "0600"},
        },
        {
            "name": "fetch",
            "ansible.builtin.fetch": {"src": there, "dest": str(directory / "back"), "flat": True},
        },
        {"name": "loop", "ansible.builtin.command": "readlink /proc/self/ns/net", "loop": [1, 2]},
        {"name": "become", "ansible.builtin.command": "id -un", "become": True, "become_user": "nobody"},
        {"ansible.builtin.meta": "reset_connection"},
        {**WHERE, "name": "after"},
    ]
    if not pipelining["ansible_pipelining"]:
        # An unprivileged user could not read the files that root copies.
        tasks = [one for one in tasks if one.get("name") != "become"]
    hosts = {netns.name: {**machine.variables, **pipelining}}
    done = play(directory, hosts, tasks, "-vvv", prefix=machine.namespace.argv())
    assert done.of("where")["stdout"] == inode(netns) == done.of("after")["stdout"]
    assert done.of("way")["stdout"].endswith(" 127.0.0.1 %d" % PORT)
    assert set(done.of("devices")["stdout_lines"]) == {"lo", "uplink"}
    assert done.of("quoting")["stdout"] == "a'b\"c $HOME"
    assert done.of("status")["rc"] == 83
    assert (directory / "back").read_bytes() == content
    assert not Path(there).exists()
    assert [one["stdout"] for one in done.of("loop")["results"]] == [inode(netns)] * 2
    if pipelining["ansible_pipelining"]:
        assert done.of("become")["stdout"] == "nobody"
    # The reset found the connection of this very host, port and user, and stopped it.
    assert "sending connection stop" in done.output


def test_missing_namespace_of_a_remote_machine(directory: Path, machine: Machine) -> None:
    hosts = {
        "rempart-absent": machine.variables,
        "terminal": {
            **machine.variables,
            "ansible_netns_name": "rempart-absent",
            "ansible_ssh_extra_args": "-tt",
        },
    }
    done = play(directory, hosts, [WHERE], prefix=machine.namespace.argv(), check=False)
    assert done.statuses() == {"rempart-absent": ["unreachable"], "terminal": ["unreachable"]}
    for host in hosts:
        message = done.of("where", host)["msg"]
        assert "There is no network namespace rempart-absent on 127.0.0.1" in message
        assert "ip netns add rempart-absent" in message


def test_remote_user_without_root(
    directory: Path, machine: Machine, netns: Namespace, pipelining: dict[str, Any]
) -> None:
    variables = {**machine.login("deploy"), **pipelining, "ansible_netns_name": netns.name}
    hosts = {"plain": variables, "sudo": {**variables, "ansible_netns_escalation": "sudo -n"}}
    tasks = [
        WHERE,
        {"name": "user", "ansible.builtin.command": "id -u"},
        {"name": "root", "ansible.builtin.shell": "id -u; readlink /proc/self/ns/net", "become": True},
    ]
    done = play(directory, hosts, tasks, prefix=machine.namespace.argv(), check=False)
    assert done.statuses() == {"plain": ["unreachable"], "sudo": ["changed"] * 3}, done.output
    assert "Only root can enter the network namespace" in done.of("where", "plain")["msg"]
    assert done.of("where", "sudo")["stdout"] == inode(netns)
    assert done.of("user", "sudo")["stdout"] == str(UID)
    assert done.of("root", "sudo")["stdout_lines"] == ["0", inode(netns)]


def test_documentation_is_complete(directory: Path) -> None:
    done = subprocess.run(
        [str(ANSIBLE_DOC), "--json", "-t", "connection", "rempart.netfilter.netns"],
        env={**os.environ, **settings(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    options = json.loads(done.stdout)["rempart.netfilter.netns"]["doc"]["options"]
    assert {"name", "host", "escalation", "pipelining"} <= set(options)
