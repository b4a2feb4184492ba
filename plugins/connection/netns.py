# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Network namespaces as Ansible hosts.

A namespace shares everything but the network with its machine. So another
connection plugin carries the work there, ``local`` or ``ssh``: files travel as
they always do, and only commands are put inside the namespace.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
author:
  - The rempart authors (@rempart)
short_description: Run tasks in a network namespace
version_added: 0.1.0
description:
  - Makes a network namespace of the controller, or of a machine reached over SSH, an Ansible host of its own.
  - >-
    Commands run inside the namespace, entered with C(ip netns exec), or with C(nsenter) for a namespace
    given as another path. Files are copied as on the machine itself, since a network namespace shares its
    file system.
  - >-
    Inside, C(/sys) shows the namespace's own devices, and for a namespace with a name the files in
    C(/etc/netns/NAME) stand in for those in C(/etc). This takes a private mount namespace for each command:
    what a task mounts is gone when the task is over.
options:
  name:
    description:
      - The namespace's name, as C(ip netns list) shows it, or the absolute path of a namespace file such as
        C(/proc/4711/ns/net).
    type: str
    default: ""
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_netns_name
  host:
    description:
      - The machine that the namespace is on. Without it, the namespace is on the controller.
      - C(ansible_host) is not this but the namespace, see O(name).
      - >-
        The machine is reached as the P(ansible.builtin.ssh#connection) connection reaches any host:
        C(ansible_user), C(ansible_port), C(ansible_ssh_private_key_file) and all its other variables and
        settings hold, except for the host name.
    type: str
    vars:
      - name: ansible_netns_host
  escalation:
    description:
      - The command that gives root's privileges for entering the namespace, for a user who is not root.
      - >-
        Only the entering is done with it: the task then runs as the user again, or as who C(become) says.
        The command must not ask for a password.
    type: str
    default: ""
    vars:
      - name: ansible_netns_escalation
    env:
      - name: REMPART_NETNS_ESCALATION
    ini:
      - section: rempart_netns
        key: escalation
extends_documentation_fragment:
  - ansible.builtin.connection_pipelining
notes:
  - The namespace must exist. C(ip netns add NAME) makes one.
  - The machine needs C(ip) (iproute2). For a namespace given as a path it needs C(nsenter), C(unshare) and
    C(mount) with C(umount) instead, for O(escalation) also C(setpriv) (all in util-linux).
seealso:
  - name: ip-netns(8)
    description: Network namespaces and their names.
    link: https://man7.org/linux/man-pages/man8/ip-netns.8.html
"""

EXAMPLES = r"""
# An inventory of two namespaces of the controller and one of another machine:
#
# all:
#   hosts:
#     inside:
#     outside:
#       ansible_netns_name: provider
#     edge:
#       ansible_netns_host: router.example.com
#       ansible_user: root
#   vars:
#     ansible_connection: rempart.netfilter.netns

- name: See the addresses of every namespace
  hosts: all
  gather_facts: false
  tasks:
    - name: List the addresses
      ansible.builtin.command: ip address
      changed_when: false

- name: Work in a namespace that a container runtime made
  hosts: localhost
  gather_facts: false
  vars:
    ansible_connection: rempart.netfilter.netns
    ansible_netns_name: /proc/4711/ns/net
  tasks:
    - name: List the container's routes
      ansible.builtin.command: ip route
      changed_when: false

- name: Enter as an ordinary user who may use sudo without a password
  hosts: inside
  vars:
    ansible_netns_escalation: sudo -n
  tasks:
    - name: Ask who the task runs as
      ansible.builtin.command: id
      changed_when: false
"""

import os
import re
import shlex
import shutil
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleOptionsError
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import connection_loader

# `ip netns exec` looks here and nowhere else (NETNS_RUN_DIR in iproute2).
DIRECTORY = "/run/netns"
ALIASES = ("/run/netns/", "/var/run/netns/")

# How the script on a remote machine says that it did not get as far as the
# command: this exit status together with this word. Not 255, which is ssh's own.
STATUS = 83
WORD = "rempart-netns-failure:"

SCRIPT = """\
path={path}; need={need}; PATH=$PATH:/usr/sbin:/sbin
fail() {{ echo {word} "$1" >&2; exit {status}; }}
[ -e "$path" ] || fail missing
[ {escalates} = yes ] || [ "$(id -u)" = 0 ] || fail privileges
for tool in $need; do command -v "$tool" > /dev/null || fail "$tool"; done
{enter}"""


class Connection(ConnectionBase):  # type: ignore[misc]
    """A network namespace; ``local`` or ``ssh`` carries the work to its machine."""

    transport = "rempart.netfilter.netns"
    has_pipelining = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._carrier: t.Any = None

    def _carrier_for(self, host: str | None) -> t.Any:
        """The connection plugin that carries the work to the machine."""
        plugin = "ssh" if host else "local"
        if self._carrier is None or self._carrier.transport != plugin:
            self._carrier = connection_loader.get("ansible.builtin." + plugin, self._play_context)
        self._carrier._play_context = self._play_context
        self._carrier._shell = self._shell
        self._carrier.set_become_plugin(self.become)
        return self._carrier

    def _resolve_option_variables(self, variables: t.Any, templar: t.Any) -> t.Any:
        # What Ansible hands to set_options: the carrier's variables belong to it.
        resolved = super()._resolve_option_variables(variables, templar)
        carrier = self._carrier_for(resolved.get("ansible_netns_host"))
        return {**carrier._resolve_option_variables(variables, templar), **resolved}

    def set_options(self, task_keys: t.Any = None, var_options: t.Any = None, direct: t.Any = None) -> None:
        """Set the options, and the carrier's."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        host = self.get_option("host")
        carrier = self._carrier_for(host)
        carrier.set_options(task_keys=task_keys, var_options=var_options)
        if host:
            carrier.set_option("host", host)

    def set_become_plugin(self, plugin: t.Any) -> None:
        """Set the become plugin, of the carrier too, which answers its prompts."""
        super().set_become_plugin(plugin)
        if self._carrier is not None:
            self._carrier.set_become_plugin(plugin)

    @property
    def default_user(self) -> str | None:
        """The user that the carrier works as on the machine."""
        if self._carrier is None:
            return None
        if self.get_option("host"):
            return t.cast("str | None", self._carrier.get_option("remote_user"))
        return t.cast("str | None", self._carrier.default_user)

    @property
    def has_tty(self) -> bool:
        """Whether the carrier gives commands a terminal."""
        return bool(self._carrier is None or self._carrier.has_tty)

    def is_pipelining_enabled(self, wrap_async: bool = False) -> bool:
        """Whether the carrier pipelines."""
        return bool(self._carrier.is_pipelining_enabled(wrap_async))

    def _connect(self) -> Connection:
        self._carrier._connect()
        self._connected = True
        return self

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Run a shell command inside the namespace; returns its exit status, output and error output."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        path = namespace_path(self.get_option("name"))
        escalation = self.get_option("escalation") or ""
        if not self.get_option("host"):
            self._check_here(path, escalation)
            done: tuple[int, bytes, bytes] = self._carrier.exec_command(
                enter(path, escalation, cmd), in_data, sudoable
            )
            return done
        script = SCRIPT.format(
            path=shlex.quote(path),
            need=shlex.quote(" ".join(tools(path, escalation))),
            word=WORD,
            status=STATUS,
            escalates="yes" if escalation else "no",
            enter=enter(path, escalation, cmd),
        )
        # The user's login shell may be anything; the script is for a POSIX one.
        status, output, errors = self._carrier.exec_command(
            "/bin/sh -c " + shlex.quote(script), in_data, sudoable
        )
        if status == STATUS:
            # With a terminal, error output comes mixed into the output.
            found = re.search(re.escape(WORD) + r" (\S+)", (errors + output).decode(errors="replace"))
            if found:
                raise self._failure(found.group(1), path)
        return status, output, errors

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the controller to the machine."""
        super().put_file(in_path, out_path)
        self._carrier.put_file(in_path, out_path)

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the machine to the controller."""
        super().fetch_file(in_path, out_path)
        self._carrier.fetch_file(in_path, out_path)

    def reset(self) -> None:
        """Drop the carrier's connection; the next task makes a new one."""
        self._carrier.reset()
        self.close()

    def close(self) -> None:
        """Close the carrier's connection."""
        if self._carrier is not None:
            self._carrier.close()
        self._connected = False

    def _check_here(self, path: str, escalation: str) -> None:
        """Find out on the controller what would stop the entering, without starting a process."""
        if not os.path.exists(path):
            raise self._failure("missing", path)
        if os.geteuid() and not escalation:
            raise self._failure("privileges", path)
        for tool in tools(path, escalation):
            if not shutil.which(tool, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"):
                raise self._failure(tool, path)

    def _failure(self, reason: str, path: str) -> AnsibleConnectionFailure:
        machine = self.get_option("host") or "the controller"
        name = self.get_option("name")
        if reason == "missing":
            cure = "run 'ip netns add %s' there, or set ansible_netns_name" % name
            if not path.startswith(DIRECTORY):
                cure = "see that the process whose namespace this is still runs"
            text = "There is no network namespace %s on %s (looked for %s): %s" % (name, machine, path, cure)
            if machine == "the controller":
                text += "; if it is on another machine, set ansible_netns_host"
        elif reason == "privileges":
            text = (
                "Only root can enter the network namespace %s on %s: work there as root, "
                "or set ansible_netns_escalation, for example to 'sudo -n'"
            ) % (name, machine)
        else:
            package = "iproute2" if reason == "ip" else "util-linux"
            text = "%s has no program %s, which enters the network namespace %s: install %s there" % (
                machine,
                reason,
                name,
                package,
            )
        return AnsibleConnectionFailure(text[0].upper() + text[1:] + ".")


def namespace_path(name: str) -> str:
    """The file of a namespace that is given by name or as a path."""
    if name.startswith("/"):
        for alias in ALIASES:
            if name.startswith(alias):
                return os.path.join(DIRECTORY, name[len(alias) :])
        return name
    if not name or len(name) > 255 or "/" in name or name in (".", "..") or name.startswith("-"):
        raise AnsibleOptionsError(
            "%r cannot be a network namespace's name: give the name that 'ip netns list' shows, "
            "or an absolute path" % name
        )
    return DIRECTORY + "/" + name


def tools(path: str, escalation: str) -> list[str]:
    """The programs that entering the namespace takes."""
    needed = ["ip"] if path.startswith(DIRECTORY + "/") else ["nsenter", "unshare", "mount", "umount"]
    return [*needed, "setpriv"] if escalation else needed


def enter(path: str, escalation: str, command: str) -> str:
    """A POSIX shell command that becomes ``command``, a shell command too, inside the namespace at ``path``.

    Every step replaces the one before (``exec``): signals and the exit status
    are the command's own.
    """
    words = shlex.split(command)
    if len(words) != 3 or "%s -c %s" % (words[0], shlex.quote(words[2])) != command:
        # Not one plain `SHELL -c TEXT`, so a shell has to understand it.
        command = "/bin/sh -c " + shlex.quote(command)
    if escalation:
        # The ids and the environment of the user who escalates, as the shell out here knows them.
        command = (
            'setpriv --reuid="$(id -u)" --regid="$(id -g)" --init-groups '
            'env HOME="$HOME" USER="$(id -un)" LOGNAME="$(id -un)" PATH="$PATH" ' + command
        )
    if path.startswith(DIRECTORY + "/"):
        command = "ip netns exec %s %s" % (shlex.quote(path[len(DIRECTORY) + 1 :]), command)
    else:
        # Where /sys is this namespace's already, it cannot be mounted over itself (EBUSY).
        mount = 'umount --lazy /sys 2> /dev/null; mount -t sysfs sysfs /sys && exec "$@"'
        command = "nsenter --net=%s unshare --mount /bin/sh -c %s sh %s" % (
            shlex.quote(path),
            shlex.quote(mount),
            command,
        )
    return (
        "PATH=$PATH:/usr/sbin:/sbin; exec %s %s" % (escalation, command) if escalation else "exec " + command
    )
