"""Nodes that can only dial out work together through a third: the same bits, and an end that is named."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "wan"))
import wan
from cluster import ATOLL, TOPOLOGY, ClusterTest

LINES = ", ".join(f"{{between: [{a}, {b}], rate: 1Gbit/s, roundTrip: 1ms, streams: 2}}"
                  for a, b in (("east", "west"), ("east", "hub"), ("west", "hub")))


def node(name, dialable, more=""):
    return f"    - {{name: {name}, nodes: [{{name: {name}-0, memory: 1GiB, dialable: {dialable}{more}}}]}}"


class RelayTest(ClusterTest):
    """Topologies are named by how east-0 and west-0 come together: direct, relayed, apart; "busy-" where hub-0 works too."""

    def topology(self, nodes):
        ends = "anywhere" if nodes.endswith("direct") else "nowhere"
        rows = [node("east", ends), node("west", ends), node("hub", "datacenter" if nodes == "apart" else "anywhere",
                                                             "" if nodes.startswith("busy") else ", relayOnly: true")]
        path = self.root / f"topology-{nodes}.yaml"
        path.write_text(TOPOLOGY.format(datacenters="\n".join(rows), lines=LINES))
        return path


class OneMachine(RelayTest):
    """The embedded cluster: east-0 and west-0 do not listen."""

    def test_losses_are_those_of_a_direct_line(self):
        for shape in (dict(dp=2, pp=1), dict(dp=1, pp=2)):
            with self.subTest(**shape):
                losses = {}
                for nodes in ("direct", "relayed"):
                    status, summary, stderr, folder = self.run_job(self.job(nodes=nodes, **shape))
                    self.assertEqual(status, 0, stderr)
                    losses[nodes] = self.losses(folder)
                    text = (folder / "plan.txt").read_text()
                    self.assertEqual("relayed       east-0 and west-0 through hub-0\n" in text, nodes == "relayed")
                    # What is relayed crosses twice.
                    crossed = summary["wire_bytes"] / summary["payload_bytes"]
                    self.assertAlmostEqual(crossed, 2 if nodes == "relayed" else 1, delta=0.2)
                self.assertEqual(losses["direct"], losses["relayed"])

    def test_a_relay_may_work_as_well(self):
        losses = {}
        for nodes in ("busy-direct", "busy-relayed"):
            status, _, stderr, folder = self.run_job(self.job(nodes=nodes, dp=1, pp=3))
            self.assertEqual(status, 0, stderr)
            losses[nodes] = self.losses(folder)
            text = (folder / "plan.txt").read_text()
            self.assertEqual("relayed       east-0 and west-0 through hub-0\n" in text, nodes == "busy-relayed")
        self.assertEqual(losses["busy-direct"], losses["busy-relayed"])

    def test_a_job_without_a_route_is_refused(self):
        job = self.job(nodes="apart", dp=2)
        for command in ([ATOLL, "plan", str(job)], self.command(job)[0]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr.strip().splitlines()[-1],
                             "^E_NO_FIT: nodes east-0 and west-0: neither can be dialled by the other, .*"
                             "add a node with 'dialable: anywhere'")

    def begin(self):
        """A long run; returns once its first checkpoint is written."""
        job = self.job(nodes="relayed", dp=2, steps=100000, evaluate=0)
        command, _ = self.command(job)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        pids = {}
        for line in process.stderr:
            if line.startswith("scheduler pid"):
                words = line.replace(",", "").split()
                pids = dict(zip(words[::3], map(int, words[2::3])))
            if line.startswith("checkpoint of step"):
                return process, pids
        self.fail("it ended too soon")

    def end_of(self, process):
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=20)
        return json.loads(stdout.strip().splitlines()[-1]), stderr.strip().splitlines()[-1], time.monotonic() - began

    def test_a_killed_relay_or_end_ends_the_job_at_once_with_its_name(self):
        for name in ("hub-0", "west-0"):
            with self.subTest(node=name):
                process, pids = self.begin()
                os.kill(pids[name], signal.SIGKILL)
                summary, error, seconds = self.end_of(process)
                print(f"{name} killed: ended {seconds:.2f} s later: {error}")
                self.assertEqual(summary["status"], "failed")
                held = "it relays for others" if name == "hub-0" else "it held actors .*layers/r1/s0"
                self.assertRegex(error, rf"^E_PEER_LOST: node {name}: lost at step \d+ of epoch 1 .*; {held}")
                self.assertLess(seconds, 5)

    def test_a_frozen_relay_is_named_by_its_ends(self):
        process, pids = self.begin()
        os.kill(pids["hub-0"], signal.SIGSTOP)
        try:
            summary, error, seconds = self.end_of(process)
        finally:
            if os.path.exists(f"/proc/{pids['hub-0']}"):
                os.kill(pids["hub-0"], signal.SIGKILL)
        print(f"hub-0 frozen: ended {seconds:.2f} s later: {error}")
        self.assertEqual(summary["status"], "failed")
        self.assertIn("hub-0", error)
        self.assertIn("silent", error)


class Star(wan.Rig):
    """East and west are joined to the hub, by a line each, and by nothing to each other: the hub forwards no packets."""

    def build(self):
        self.hub = self.add_node("hub", "10.79.0.1", **{"net/ipv4/ip_forward": "0"})
        self.ip(self.hub, "address", "add", "10.79.0.1/32", "dev", "lo")
        self.east, self.west = (self.add_side(number, name) for number, name in enumerate(("east", "west"), 1))

    def ip(self, node, *words):
        node.run(["ip", *words], check=True)

    def add_side(self, number, name):
        side = self.add_node(name, f"10.79.{number}.1")
        self.ip(side, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", self.hub.namespace)
        for end, device, address in ((side, "eth0", side.address), (self.hub, name, f"10.79.{number}.254")):
            self.ip(end, "address", "add", f"{address}/24", "dev", device)
            self.ip(end, "link", "set", device, "up")
        self.ip(side, "route", "add", "default", "via", f"10.79.{number}.254")
        return side


@unittest.skipIf(wan.why_not(), wan.why_not())
class TwoNetworks(RelayTest):
    """East and west in networks that cannot reach each other; the scheduler stands beside the hub's node."""

    def atoll(self, *words):
        subprocess.run([ATOLL, *map(str, words)], check=True, capture_output=True, text=True, cwd=self.home)

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := what():
                return value
            time.sleep(0.05)
        self.fail("it did not come to pass")

    def test_losses_are_those_of_a_direct_line(self):
        shape = dict(dp=2, pp=1)
        status, _, stderr, folder = self.run_job(self.job(nodes="direct", **shape))
        self.assertEqual(status, 0, stderr)
        direct = self.losses(folder)
        self.home = self.root / "networks"
        self.home.mkdir()
        with Star() as rig:
            apart = rig.east.run([sys.executable, "-c", f"import socket; socket.create_connection(('{rig.west.address}', 9), 2)"],
                                 capture_output=True, text=True)
            self.assertRegex(apart.stderr, "unreachable|timed out", "east can reach west, so this shows nothing")
            self.atoll("keys", "cluster", "cluster", "--datacenter", "hub")
            address = self.home / "address"
            rig.hub.start([ATOLL, "scheduler", "--identity", "cluster/scheduler", "--authority", "cluster/authority.key",
                           "--topology", self.topology("relayed"), "--listen", f"{rig.hub.address}:0", "--address-file",
                           address, "--log", "scheduler.log"], cwd=self.home)
            scheduler = self.wait_for(lambda: address.exists() and address.read_text())
            for side in (rig.east, rig.west, rig.hub):
                token = ["token", "create", "--identity", "cluster/scheduler", "--datacenter", side.name, "--out",
                         f"{side.name}.token"]
                rig.hub.run([ATOLL, *token], check=True, capture_output=True, cwd=self.home)
                dialable = ["--listen", f"{side.address}:0"] if side is rig.hub else ["--dialable", "nowhere"]
                side.start([ATOLL, "node", "--identity", side.name, "--enrol", f"{side.name}.token", "--name",
                            f"{side.name}-0", "--scheduler", scheduler, "--log", f"{side.name}.log", *dialable],
                           cwd=self.home)
            log = self.home / "scheduler.log"
            self.wait_for(lambda: log.read_text().count("registered") == 3)
            self.assertEqual(log.read_text().count("dials out only"), 2)
            job = self.job(nodes="relayed", **shape)
            run = self.root / "run-networks"
            done = rig.hub.run([ATOLL, "run", job, "--json", "--run-dir", run, "--scheduler", scheduler, "--identity",
                                "cluster/client"], capture_output=True, text=True, timeout=120, cwd=self.home)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.losses(run), direct)


if __name__ == "__main__":
    unittest.main(verbosity=2)
