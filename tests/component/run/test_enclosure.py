# SPDX-License-Identifier: Apache-2.0
"""The limits hold whatever CMD does to its environment, and the host's /etc is not touched.
All GPUs here are simulated."""

import pathlib

import pytest
from run_harness import TENANT

MAPPED = ["grep", "-c", "/etc/hami/lib/libvgpu.so", "/proc/self/maps"]


def was_mapped(result):
    assert result.returncode == 0, result.stderr
    return int(result.stdout) > 0


def test_cmd_runs_under_the_library(anyone):
    assert was_mapped(anyone.run(*MAPPED))


def test_env_i_stays_inside(anyone):
    assert was_mapped(anyone.run("env", "-i", "/usr/bin/grep", *MAPPED[1:]))


def test_shell_that_unsets_variables_stays_inside(anyone):
    script = f"unset LD_PRELOAD LD_LIBRARY_PATH HAMI_SHARES; exec {' '.join(MAPPED)}"
    assert was_mapped(anyone.run("sh", "-c", script))


def test_grandchild_with_an_empty_environment_stays_inside(anyone, python):
    script = (
        "import subprocess\n"
        f"inner = {f'import subprocess; subprocess.run({MAPPED!r}, env={{}})'!r}\n"
        f"subprocess.run([{python!r}, '-c', inner], env={{}})\n"
    )
    assert was_mapped(anyone.run(python, "-c", script))


@pytest.mark.parametrize("clear", [[], ["env", "-i"]], ids=["environment", "env -i"])
def test_memory_limit_holds_on_the_simulated_gpu(anyone, clear):
    result = anyone.run(*clear, str(TENANT), "info", "alloc", "5Gi", "alloc", "2Gi")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert "total_mib=4096" in lines[0]
    assert lines[1:] == ["alloc 5Gi CUDA_ERROR_OUT_OF_MEMORY", "alloc 2Gi CUDA_SUCCESS"]


def test_limits_file_says_what_was_asked(anyone):
    options = ("--gpumem", "3Gi", "--gpucores", "30", "--policy", "force", "--name", "mine")
    result = anyone.run("cat", "/etc/hami/shares/mine/limits", options=options)
    assert result.returncode == 0, result.stderr
    assert f"  memory {3 << 30}\n  cores 30\n  policy force\n" in result.stdout
    assert result.stdout.startswith("hami-limits 1\n") and result.stdout.endswith("end\n")


@pytest.mark.parametrize(
    "attack",
    [
        "echo > /etc/hami/shares/mine/limits",
        "rm -f /etc/hami/shares/mine/limits",
        "touch /etc/hami/shares/mine/new",
        "echo > /etc/ld.so.preload",
        "rm -f /etc/ld.so.preload",
        "mv /etc/ld.so.preload /etc/other",
        "echo > /etc/hami/lib/libvgpu.so",
        "rm -f /etc/hami/lib/libvgpu.so",
        "rm -f /etc/hami/shares/mine/region",
    ],
)
def test_what_enforces_cannot_be_changed(anyone, attack):
    options = ("--gpumem", "3Gi", "--name", "mine")
    check = f"{' '.join(MAPPED)} && grep -q 'memory {3 << 30}' /etc/hami/shares/mine/limits"
    result = anyone.run("sh", "-c", f"({attack}) && echo done; {check}", options=options)
    assert result.returncode == 0, result.stderr
    assert "done" not in result.stdout


def test_region_is_writable_and_the_other_shares_are_hidden(anyone):
    neighbour = anyone.hold("--gpumem", "2Gi", "--name", "neighbour")
    script = (f"test -w /etc/hami/shares/mine/region && ls {anyone.state}/shares; "
              "ls /etc/hami/shares")
    result = anyone.run("sh", "-c", script, options=("--gpumem", "2Gi", "--name", "mine"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["mine"]
    neighbour.say("end")
    assert neighbour.end()[0] == 0


def test_user_cannot_unmount(anyone):
    if anyone.uid is None:
        pytest.skip("root can undo mounts; SECURITY.md says so")
    result = anyone.run("sh", "-c", "umount /etc/ld.so.preload || umount /etc")
    assert result.returncode != 0


def test_user_is_who_he_was(anyone):
    result = anyone.run("sh", "-c", "id -u; id -g")
    assert result.stdout.split() == [str(anyone.uid or 0)] * 2


def test_host_etc_is_not_touched(anyone):
    preload = pathlib.Path("/etc/ld.so.preload")
    mounts = pathlib.Path("/proc/self/mountinfo")

    def look():
        text = preload.read_text() if preload.exists() else None
        return text, sorted(pathlib.Path("/etc").iterdir()), mounts.read_text()

    before = look()
    held = anyone.hold("--gpumem", "2Gi")
    assert look() == before
    held.say("end")
    assert held.end()[0] == 0


def test_etc_reads_as_before(anyone):
    result = anyone.run("cat", "/etc/passwd")
    assert result.stdout == pathlib.Path("/etc/passwd").read_text()


def test_cmd_starts_where_it_was_called(anyone):
    result = anyone.run("pwd", cwd="/usr/share")
    assert result.stdout == "/usr/share\n"


def test_environment_names_the_gpu_and_no_limits(anyone):
    names = dict(line.split("=", 1) for line in anyone.run("env").stdout.splitlines())
    assert names["CUDA_VISIBLE_DEVICES"].startswith("GPU-")
    assert names["NVIDIA_VISIBLE_DEVICES"] == names["CUDA_VISIBLE_DEVICES"]
    ours = ("CUDA_DEVICE_", "LD_PRELOAD", "HAMI_SHARES")
    assert not [name for name in names if name.startswith(ours)]


def test_agent_tells_the_host_pid(anyone, python):
    client = (
        "import glob, os, socket, struct\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(glob.glob('/etc/hami/shares/*/agent.sock')[0])\n"
        "magic, version, pid, _ = struct.unpack('<IIiI', s.recv(16, socket.MSG_WAITALL))\n"
        "assert (magic, version) == (0x494d4148, 1)\n"
        "print(os.getpid(), pid)\n"
    )
    result = anyone.run(python, "-c", client)
    own, told = result.stdout.split()
    assert own == told


def test_agent_tells_the_host_pid_to_another_pid_namespace(hami, python):
    client = (
        "import glob, os, socket, struct\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.connect(glob.glob('/etc/hami/shares/*/agent.sock')[0])\n"
        "told = struct.unpack('<IIiI', s.recv(16, socket.MSG_WAITALL))[2]\n"
        "print(os.getpid(), told, flush=True)\n"
        "input()\n"
    )
    held = hami.start("unshare", "--pid", "--fork", python, "-c", client)
    own, told = map(int, held.line().split())
    assert own == 1
    command = pathlib.Path(f"/proc/{told}/cmdline").read_bytes()
    assert command.startswith(python.encode() + b"\0-c")
    held.say("end")
    assert held.end()[0] == 0
