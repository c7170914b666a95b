"""A study that attacks: `fit` runs the function that its configuration names, and tells whether it worked.

An attack that is refused raises OSError; any other error fails the call, so that no mistake looks like safety.
"""

import ctypes
import fcntl
import glob
import os
import shutil
import signal
import socket
import struct
import subprocess

import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
SYSCALL = {"x86_64": {"socket": 41, "shmget": 29}, "aarch64": {"socket": 198, "shmget": 194}}[os.uname().machine]


def fit(parameters, table, config):
    try:
        worked = globals()[config["attack"]](config)
    except OSError as error:
        print(config["attack"], error)
        worked = False
    return {"w": np.zeros(1)}, 1, {"worked": bool(worked)}


def evaluate(parameters, table, config):
    return len(table), {"rows": len(table)}


def call(function, *arguments):
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True


# files of others


def read_a_file(config):
    with open(config["secret"], "rb") as file:
        return b"4711" in file.read()


def read_through_a_symbolic_link(config):
    os.symlink(config["secret"], "link")
    with open("link", "rb") as file:
        return b"4711" in file.read()


def read_through_a_hard_link(config):
    os.link(config["secret"], os.path.join(config["outside"], "hard"))
    os.link(config["secret"], "hard")
    return True


def read_through_the_first_process(config):
    with open("/proc/1/root/etc/passwd") as file:
        return bool(file.read())


def read_the_users_of_the_machine(config):
    with open("/etc/passwd") as file:
        return "root" in file.read()


def list_home_folders(config):
    return [name for home in ("/root", "/home") for name in os.listdir(home) if name not in config["python"]]


def list_temporary_files(config):
    return config["hospital"] in os.listdir(os.path.dirname(config["outside"]))


def walk_for_secrets(config):
    top = os.path.dirname(config["outside"])
    return any("4711" in name for _, folders, _ in os.walk(top) for name in folders)


def read_the_log_of_earlier_calls(config):
    with open("/proc/self/fd/1", "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
        return len(file.read() or b"") > 0


def write_outside(config):
    with open(os.path.join(config["outside"], "stolen"), "w") as file:
        return file.write("patient 11")


def change_the_table(config):
    return open(config["table"], "r+b")


def change_its_own_code(config):
    return open(__file__, "r+")


def change_the_libraries(config):
    return open(np.__file__, "r+")


def replace_the_table(config):
    with open("mine", "wb") as file:
        file.write(b"x")
    os.replace("mine", config["table"])
    return True


def change_rights(config):
    os.chmod(config["secret"], 0o644)
    return True


def change_owner(config):
    os.chown(config["secret"], os.getuid(), os.getgid())
    return True


def change_times(config):
    os.utime(config["secret"], (1, 1))
    return True


def shorten_a_file(config):
    os.truncate(config["secret"], 0)
    return True


def remove_a_file(config):
    os.remove(config["secret"])
    return True


# the network


def talk(kind, family, address):
    with socket.socket(family, kind) as line:
        line.settimeout(2)
        line.connect(address)
        line.send(b"patient 11")
    return True


def tcp(config):
    return talk(socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", config["tcp"]))


def udp(config):
    return talk(socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", config["udp"]))


def unix_socket(config):
    return talk(socket.SOCK_STREAM, socket.AF_UNIX, config["unix"])


def abstract_socket(config):
    return talk(socket.SOCK_STREAM, socket.AF_UNIX, "\0" + config["abstract"])


def datagram_from_a_pair(config):
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return ours.sendto(b"patient 11", config["datagram"])


def raw_socket_call(config):
    return call(libc.syscall, SYSCALL["socket"], socket.AF_INET, socket.SOCK_DGRAM, 0)


def socket_from_a_library_in_scratch(config):
    mine = f"mine-{os.getpid()}.so"  # of several ranks each has its own: one would cut off what another has mapped
    shutil.copyfile(glob.glob("/usr/lib/*/libc.so.6")[0], mine)
    return call(ctypes.CDLL(os.path.abspath(mine), use_errno=True).socket, socket.AF_INET, socket.SOCK_DGRAM, 0)


def resolve_a_name(config):
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"query", ("127.0.0.53", 53))


# other processes


def list_processes(config):
    return str(config["victim"]) in os.listdir("/proc") and bool(open(f"/proc/{config['victim']}/cmdline").read())


def read_environment(config):
    with open(f"/proc/{config['victim']}/environ") as file:
        return "4711" in file.read()


def read_memory(config):
    return open(f"/proc/{config['victim']}/mem", "rb")


def trace(config):
    return call(libc.ptrace, ctypes.c_long(0x4206), ctypes.c_long(config["victim"]), None, None)  # PTRACE_SEIZE


def signal_a_process(config):
    os.kill(config["victim"], signal.SIGCONT)
    return True


def limit_a_process(config):
    import resource

    return resource.prlimit(config["victim"], resource.RLIMIT_NOFILE)


def slow_down_a_process(config):
    os.setpriority(os.PRIO_PROCESS, config["victim"], 5)
    return True


def leave_the_process_group(config):
    if os.fork() == 0:
        try:
            os.setsid()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.wait()[1]) == 0


def shared_memory_that_outlives_it(config):
    number = libc.syscall(SYSCALL["shmget"], 0, 4096, 0o1600)
    if number >= 0:
        libc.shmctl(number, 0, None)  # removed again: this is only to see whether it can
    return call(lambda: number)


def message_queue(config):
    name = b"/wardround-attack"
    made = ctypes.CDLL("librt.so.1", use_errno=True).mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None)
    if made >= 0:
        ctypes.CDLL("librt.so.1").mq_unlink(name)
    return call(lambda: made)


# the machine


def new_user_namespace(config):
    return call(libc.unshare, 0x10000000)


def mount_something(config):
    os.mkdir("m")
    done = call(libc.mount, b"none", b"m", b"tmpfs", 0, None)
    libc.umount2(b"m", 2)
    return done


def change_a_kernel_setting(config):
    return open("/proc/sys/kernel/core_pattern", "r+")  # root of the machine, by the next process that crashes


def read_the_kernel_log(config):
    return os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)


def make_a_device(config):
    os.mknod("null", 0o20600, os.makedev(1, 3))
    return open("null", "wb")


def run_a_program(config):
    return subprocess.run(["/bin/sh", "-c", "exit 0"]).returncode == 0


def run_a_setuid_program(config):
    return subprocess.run(["/usr/bin/su", "--version"], stdout=subprocess.DEVNULL).returncode == 0


def type_into_a_terminal(config):
    _, theirs = os.openpty()
    return fcntl.ioctl(theirs, 0x5412, b"x") == b"x"


def io_uring(config):
    return call(libc.syscall, 425, 1, ctypes.create_string_buffer(120))


def performance_counters(config):
    attributes = struct.pack("II", 1, 64) + bytes(56)
    return call(libc.syscall, {"x86_64": 298, "aarch64": 241}[os.uname().machine], attributes, 0, -1, -1, 0)


def keyring(config):
    numbers = {"x86_64": 248, "aarch64": 217}
    return call(libc.syscall, numbers[os.uname().machine], b"user", b"wardround", b"x", 1, -3)
