"""A long line between network namespaces of this machine: sets them up, moves packets with atoll-wan, cleans up.

    with wan.Sides(rate="50mbit", delay="50ms", loss="0.1%") as rig:
        server = rig.b.start([...])              # ends with the rig
        rig.a.run([..., rig.b.address])          # subprocess.run inside the namespace
        rig.line.command("blackout 2s")
        rig.line.stats()["ab"]["lost"]

    with wan.Datacenters(2, 2, rate="50mbit", delay="20ms") as rig:
        rig.nodes[0][1].run([...])               # node 1 of datacenter 0
        rig.lines[0, 1].command("rate 10mbit")

Needs root and /dev/net/tun: require() says aloud what is missing and ends a test as skipped. Standard library only.

Whatever happens to the process (an exception, Ctrl-C, kill -9), the namespaces go: a janitor in a session of its own
holds a pipe from it, and removes what was registered there when the pipe ends. It removes nothing else.
"""
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[3]
SETTINGS = ("rate", "delay", "jitter", "reorder", "loss", "overhead", "queue")
SKIPPED = 77

# Reads the names of namespaces, then removes them with what still runs inside, and the folder.
JANITOR = """
while read -r name; do names="$names $name"; done
for name in $names; do
  ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null
  ip netns del "$name" 2>/dev/null
done
rm -rf -- "$1"
"""

# Large enough buffers for the line, and no memory of earlier connections to the same address.
SYSCTLS = {
    "net/ipv4/tcp_wmem": "4096 131072 67108864",
    "net/ipv4/tcp_rmem": "4096 131072 67108864",
    "net/ipv4/tcp_no_metrics_save": "1",
}

_serial = itertools.count()


class WanError(RuntimeError):
    """The rig could not be set up, or a command was refused."""


def program(name):
    """The binary: $ATOLL_WAN or $ATOLL_FLOW, or the newest in build/; None when there is none."""
    given = os.environ.get(name.upper().replace("-", "_"))
    if given:
        return given
    built = sorted(ROOT.glob(f"build/*/bin/{name}"), key=lambda path: path.stat().st_mtime)
    return str(built[-1]) if built else None


def why_not():
    """What is missing for a rig here, as a sentence; None when nothing is."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip; install iproute2"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun that can be opened"
    tried = f"atoll-{os.getpid()}-try"
    added = subprocess.run(["ip", "netns", "add", tried], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", tried], capture_output=True)
    if added.returncode != 0:
        return f"network namespaces cannot be made: {added.stderr.strip()}"
    return None


def require():
    """Ends the process as skipped, with the reason, where no rig can be set up."""
    reason = why_not()
    if reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIPPED)


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise WanError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _words(settings):
    """Settings as atoll-wan's options: rate="50mbit", loss_ab="1%"."""
    words = []
    for name, value in settings.items():
        plain = name.removesuffix("_ab").removesuffix("_ba")
        if plain not in SETTINGS:
            raise WanError(f"{name} is no setting of a line; there are {', '.join(SETTINGS)}, each with _ab or _ba")
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


class Node:
    """One network namespace and what runs in it."""

    def __init__(self, name, namespace, address=None):
        self.name = name
        self.namespace = namespace
        self.address = address
        self.children = []

    def command(self, words):
        return ["ip", "netns", "exec", self.namespace, *map(str, words)]

    def run(self, words, **options):
        """subprocess.run inside the namespace."""
        return subprocess.run(self.command(words), **options)

    def start(self, words, **options):
        """subprocess.Popen inside the namespace; what still runs when the rig closes is ended."""
        child = subprocess.Popen(self.command(words), **options)
        self.children.append(child)
        return child

    def end_children(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(2)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()


class Line:
    """A running atoll-wan between two namespaces. It ends when its standard input does."""

    def __init__(self, a, b, device, control, seed, settings):
        words = [program("atoll-wan"), "--a", a.namespace, "--b", b.namespace, "--device", device, "--seed", str(seed)]
        if control:
            words += ["--control", str(control)]
        # In a session of its own, so that Ctrl-C in a shell inside does not cut the line.
        self.process = subprocess.Popen(words + _words(settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.ends = (a, b)
        self.device = device
        self.lock = threading.Lock()
        if not self.process.stdout.readline():
            error = self.process.stderr.read().strip()
            self.close()
            raise WanError(error)

    def command(self, text):
        """Sends one command and returns its answer; WanError if it is refused or the line has died."""
        with self.lock:
            try:
                self.process.stdin.write(text + "\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
            except BrokenPipeError:
                answer = ""
        if not answer:
            raise WanError(f"the line has died: {self.process.stderr.read().strip()}")
        answer = json.loads(answer)
        if not answer["ok"]:
            raise WanError(answer["error"])
        return answer

    def stats(self):
        return self.command("stats")

    def unread(self):
        """Packets that the kernel dropped because the emulator had not read them in time; a measurement with any is void."""
        dropped = 0
        for end in self.ends:
            shown = subprocess.run(["ip", "-n", end.namespace, "-s", "-j", "link", "show", "dev", self.device],
                                   capture_output=True, text=True, check=True)
            dropped += json.loads(shown.stdout)[0]["stats64"]["tx"]["dropped"]
        return dropped

    def close(self):
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Rig:
    """Namespaces and lines that live as long as the `with` block. Subclasses say how they are joined."""

    def __init__(self, seed=1, congestion=None, **settings):
        if program("atoll-wan") is None:
            raise WanError("there is no atoll-wan; build it with: scripts/build release atoll-wan atoll-flow")
        self.seed = seed
        self.settings = settings
        self.congestion = congestion
        self.prefix = f"atoll-{os.getpid()}-{next(_serial)}-"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="atoll-wan-"))
        self.all_nodes = []
        self.all_lines = []
        self.janitor = subprocess.Popen(["sh", "-c", JANITOR, "janitor", str(self.folder)], stdin=subprocess.PIPE,
                                        text=True, start_new_session=True)
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends what was started here and removes what was made here. A second call does nothing."""
        for node in self.all_nodes:
            node.end_children()
        for line in self.all_lines:
            line.close()
        self.all_nodes, self.all_lines = [], []
        if self.janitor.stdin and not self.janitor.stdin.closed:
            self.janitor.stdin.close()
            self.janitor.wait()

    def add_node(self, name, address=None, **sysctls):
        namespace = self.prefix + name
        self.janitor.stdin.write(namespace + "\n")  # first, so that none is ever forgotten
        self.janitor.stdin.flush()
        _ip("netns", "add", namespace)
        node = Node(name, namespace, address)
        self.all_nodes.append(node)
        self.set_sysctls(node, {**SYSCTLS, **sysctls})
        if self.congestion:
            self.set_congestion(node)
        _ip("-n", namespace, "link", "set", "lo", "up")
        return node

    def set_sysctls(self, node, values):
        script = "".join(f"echo '{value}' >/proc/sys/{key} || exit 1\n" for key, value in values.items())
        done = node.run(["sh", "-c", script], capture_output=True, text=True)
        if done.returncode != 0:
            raise WanError(f"namespace {node.namespace}: {done.stderr.strip()}")

    def set_congestion(self, node):
        try:
            self.set_sysctls(node, {"net/ipv4/tcp_congestion_control": self.congestion})
        except WanError:
            # The kernel lets a namespace choose only among those that the machine allows to everybody.
            allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().strip()
            raise WanError(f"congestion: {self.congestion} cannot be a namespace's default here; allowed are {allowed} "
                           "(net.ipv4.tcp_allowed_congestion_control); set it per socket instead") from None

    def add_line(self, a, b, device="wan0"):
        line = Line(a, b, device, self.folder / f"{device}.socket", self.seed + len(self.all_lines), self.settings)
        self.all_lines.append(line)
        for end in (a, b):
            # The emulator has the queue; this one only has to outlast the time until it is read.
            _ip("-n", end.namespace, "link", "set", device, "txqueuelen", "4096", "addrgenmode", "none")
            _ip("-n", end.namespace, "link", "set", device, "up")
        return line


class Sides(Rig):
    """Two namespaces, a and b, and one line between them."""

    def build(self):
        self.a = self.add_node("a", "10.77.0.1")
        self.b = self.add_node("b", "10.77.0.2")
        self.line = self.add_line(self.a, self.b)
        for number, side in enumerate((self.a, self.b), 1):
            side.address6 = f"fd77::{number}"
            _ip("-n", side.namespace, "address", "add", f"{side.address}/24", "dev", "wan0")
            _ip("-n", side.namespace, "address", "add", f"{side.address6}/64", "dev", "wan0", "nodad")


class Datacenters(Rig):
    """Datacenters of several nodes each: inside joined by a bridge, between each two a line of the same settings.

    nodes[d][n] has the address 10.78.d.(n+1). A gateway, not a node, holds each datacenter's ends of the lines, so all
    its nodes share them. lines[d, e] is the line between two, d < e; "ab" is from d to e.
    """

    def __init__(self, count=2, nodes=2, **settings):
        if not (2 <= count <= 8 and 1 <= nodes <= 100):
            raise WanError("there can be 2 to 8 datacenters of 1 to 100 nodes")
        self.shape = (count, nodes)
        super().__init__(**settings)

    def build(self):
        count, nodes = self.shape
        self.gateways = [self.add_gateway(d) for d in range(count)]
        self.nodes = [[self.add_inside(d, n) for n in range(nodes)] for d in range(count)]
        self.lines = {}
        for d, e in itertools.combinations(range(count), 2):
            device = f"wan{d}-{e}"
            self.lines[d, e] = self.add_line(self.gateways[d], self.gateways[e], device)
            _ip("-n", self.gateways[d].namespace, "route", "add", f"10.78.{e}.0/24", "dev", device)
            _ip("-n", self.gateways[e].namespace, "route", "add", f"10.78.{d}.0/24", "dev", device)

    def add_gateway(self, d):
        letter = chr(ord("a") + d)
        gateway = self.add_node(letter, f"10.78.{d}.254", **{"net/ipv4/ip_forward": "1"})
        _ip("-n", gateway.namespace, "link", "add", "inside", "type", "bridge")
        _ip("-n", gateway.namespace, "address", "add", f"{gateway.address}/24", "dev", "inside")
        _ip("-n", gateway.namespace, "link", "set", "inside", "up")
        return gateway

    def add_inside(self, d, n):
        gateway = self.gateways[d]
        node = self.add_node(f"{gateway.name}{n}", f"10.78.{d}.{n + 1}")
        _ip("-n", node.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", f"node{n}", "netns",
            gateway.namespace)
        _ip("-n", gateway.namespace, "link", "set", f"node{n}", "master", "inside", "up")
        _ip("-n", node.namespace, "address", "add", f"{node.address}/24", "dev", "eth0")
        _ip("-n", node.namespace, "link", "set", "eth0", "up")
        _ip("-n", node.namespace, "route", "add", "default", "via", gateway.address)
        return node


def _receiver(node, once):
    """Starts atoll-flow receive; returns the process and its ADDRESS:PORT."""
    words = [program("atoll-flow"), "receive", "--bind", f"{node.address}:0"] + (["--once"] if once else [])
    process = node.start(words, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        raise WanError("atoll-flow receive did not start")
    return process, json.loads(line)["address"]


def _measure(source, words):
    done = source.run([program("atoll-flow"), *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise WanError(done.stderr.strip())
    return json.loads(done.stdout)


def flows(source, target, count=1, congestion="cubic", seconds=10, skip=1):
    """What `count` plain TCP flows from one node to another reach; the JSON of atoll-flow send."""
    process, address = _receiver(target, once=True)
    try:
        words = ["send", "--to", address, "--flows", count, "--seconds", seconds, "--skip", skip]
        return _measure(source, words + (["--congestion", congestion] if congestion else []))
    finally:
        process.terminate()
        process.wait()


def probe(source, target, count=100, interval="10ms", size=64, wait="2s"):
    """Round trip and loss of datagrams from one node to another and back; the JSON of atoll-flow probe."""
    process, address = _receiver(target, once=False)
    try:
        return _measure(source, ["probe", "--to", address, "--count", count, "--interval", interval, "--size", size,
                                 "--wait", wait])
    finally:
        process.terminate()
        process.wait()


def send_command(path, text):
    """Sends one command to a line's Unix socket and returns the answer's text."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(text.encode() + b"\n")
        return connection.makefile().readline().strip()
