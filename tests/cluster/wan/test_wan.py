"""The emulator on this kernel: round trip, rate, queue, loss, blackout, its own cost, and that nothing is left over."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import wan

LINE = pathlib.Path(__file__).resolve().parent / "line"
# Of a full packet's 1,500 bytes TCP with time stamps carries 1,448.
TCP_SHARE = 1448 / 1500
MOST_CORE = 0.2


def namespaces(pid=None):
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if name.startswith(f"atoll-{pid or os.getpid()}-")]


class Rig(unittest.TestCase):
    def tearDown(self):
        self.assertEqual(namespaces(), [])

    def assert_round_trip(self, trips, milliseconds):
        """By the fastest probe, since a busy machine serves others late; measure.py has the spread of a quiet machine."""
        self.assertGreaterEqual(trips["rtt_ms"]["min"], milliseconds)
        self.assertLess(trips["rtt_ms"]["min"], milliseconds + 1)


class Carries(Rig):
    def test_twice_the_fastest_row_under_a_fifth_of_a_core(self):
        with wan.Sides(rate="200mbit", delay="10ms") as rig:
            before = rig.line.stats()
            result = wan.flows(rig.a, rig.b, 2, seconds=1.2, skip=0.6)
            after = rig.line.stats()
            self.assertEqual(rig.line.unread(), 0)
        seconds = after["seconds"] - before["seconds"]
        cores = (after["cpu_seconds"] - before["cpu_seconds"]) / seconds
        carried = (after["ab"]["delivered_bytes"] - before["ab"]["delivered_bytes"]) * 8e-6 / seconds
        print(f"200 Mbit/s: goodput {result['goodput_mbit']:.1f} Mbit/s, carried {carried:.1f} Mbit/s on average, "
              f"{cores:.3f} of a core")
        # Whoever else uses the processors costs TCP some of it; measure.py has the figure of a quiet machine.
        self.assertGreater(result["goodput_mbit"], 200 * TCP_SHARE * 0.8)
        self.assertLess(result["goodput_mbit"], 200 * TCP_SHARE * 1.01)
        self.assertLess(cores, MOST_CORE)
        self.assertEqual(after["ab"]["memory_dropped"] + after["ab"]["malformed"] + after["ab"]["refused"], 0)
        self.assertEqual(after["ba"]["memory_dropped"] + after["ba"]["malformed"] + after["ba"]["refused"], 0)

    def test_an_idle_round_trip_is_twice_the_delay(self):
        with wan.Sides(rate="100mbit", delay="20ms") as rig:
            trips = wan.probe(rig.a, rig.b, 50, "5ms", wait="1s")
        print(f"40 ms: {trips['rtt_ms']}")
        self.assertEqual(trips["received"], 50)
        self.assert_round_trip(trips, 40)

    def test_each_direction_has_its_own_settings(self):
        with wan.Sides(rate="10mbit", rate_ba="5mbit", delay="5ms", delay_ba="15ms") as rig:
            there = wan.flows(rig.a, rig.b, 2, seconds=0.5, skip=0.3)
            back = wan.flows(rig.b, rig.a, 2, seconds=0.5, skip=0.3)
            trips = wan.probe(rig.a, rig.b, 20, "5ms", wait="1s")
        # So short a run still feels its start; that the rate is exact is tested above.
        self.assertAlmostEqual(there["goodput_mbit"], 10 * TCP_SHARE, delta=1.5)
        self.assertAlmostEqual(back["goodput_mbit"], 5 * TCP_SHARE, delta=1.0)
        self.assert_round_trip(trips, 20)

    def test_ipv6_and_large_datagrams_pass(self):
        with wan.Sides(rate="100mbit", delay="1ms") as rig:
            script = ("import socket, sys; s = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6);"
                      "print(s.getsockname()[1], flush=True); c = s.accept()[0]; n = 0\n"
                      "while d := c.recv(65536): n += len(d)\nprint(n)")
            server = rig.b.start([sys.executable, "-c", script, rig.b.address6], stdout=subprocess.PIPE, text=True)
            port = server.stdout.readline().strip()
            client = ("import socket, sys; c = socket.create_connection((sys.argv[1], int(sys.argv[2])));"
                      "c.sendall(bytes(1000003))")
            rig.a.run([sys.executable, "-c", client, rig.b.address6, port], check=True, timeout=10)
            self.assertEqual(server.stdout.readline().strip(), "1000003")
            trips = wan.probe(rig.a, rig.b, 10, "5ms", size=9000, wait="1s")  # in fragments
            self.assertEqual(trips["received"], 10)
            # Fragments are packets of the line: ten datagrams of 9,000 bytes are seventy.
            self.assertGreaterEqual(rig.line.stats()["ab"]["accepted"], 1000003 // 1440 + 70)


class Loses(Rig):
    def test_its_share_of_packets(self):
        with wan.Sides(rate="1gbit", delay="2ms", loss_ab="2%", queue="2MB") as rig:
            trips = wan.probe(rig.a, rig.b, 20000, "50us", wait="300ms")
            stats = rig.line.stats()["ab"]
            self.assertEqual(rig.line.unread(), 0)
        print(f"2 % of 20,000: lost {trips['loss']:.4f}")
        self.assertAlmostEqual(trips["loss"], 0.02, delta=5 * (0.02 * 0.98 / 20000) ** 0.5)
        self.assertEqual(stats["queue_dropped"], 0)
        self.assertEqual(trips["reordered"], 0)

    def test_nothing_is_damaged_where_super_packets_are_cut(self):
        with wan.Sides(rate="200mbit", delay="2ms", loss="1%") as rig:
            script = ("import hashlib, socket, sys; s = socket.create_server((sys.argv[1], 0));"
                      "print(s.getsockname()[1], flush=True); c = s.accept()[0]; h = hashlib.sha256()\n"
                      "while d := c.recv(65536): h.update(d)\nprint(h.hexdigest())")
            server = rig.b.start([sys.executable, "-c", script, rig.b.address], stdout=subprocess.PIPE, text=True)
            port = server.stdout.readline().strip()
            client = ("import hashlib, random, socket, sys; d = random.Random(1).randbytes(4 << 20);"
                      "socket.create_connection((sys.argv[1], int(sys.argv[2]))).sendall(d);"
                      "print(hashlib.sha256(d).hexdigest())")
            sent = rig.a.run([sys.executable, "-c", client, rig.b.address, port], check=True, capture_output=True,
                             text=True, timeout=20).stdout
            self.assertEqual(server.stdout.readline(), sent)
            self.assertGreater(rig.line.stats()["ab"]["lost"], 5)

    def test_what_its_queue_cannot_hold(self):
        """A full queue delays by its bytes over the rate, and no more."""
        with wan.Sides(rate="10mbit", delay="5ms", queue="125kB") as rig:
            busy, address = wan._receiver(rig.b, once=True)
            sender = rig.a.start([wan.program("atoll-flow"), "send", "--to", address, "--flows", 4, "--seconds", 1.5,
                                  "--skip", 0, "--congestion", "cubic"], stdout=subprocess.DEVNULL)
            wait_until(lambda: rig.line.stats()["ab"]["queue_dropped"] > 0)
            trips = wan.probe(rig.a, rig.b, 40, "10ms", wait="1s")
            stats = rig.line.stats()["ab"]
            sender.wait(10)
        print(f"queue of 100 ms: {trips['rtt_ms']}")
        self.assertLessEqual(stats["queue_most_bytes"], 125000)
        self.assertGreater(stats["queue_most_bytes"], 123000)
        # Delay both ways, the queue, the packet before and the probe's own, a batch each way. The median, since a busy
        # machine may serve single probes late.
        self.assertLess(trips["rtt_ms"]["median"], 10 + 100 + 1.2 + 0.2 + 1)
        self.assertGreater(trips["rtt_ms"]["median"], 10 + 60)


class Obeys(Rig):
    def test_commands_while_it_runs(self):
        with wan.Sides(rate="10mbit", delay="5ms") as rig:
            rig.line.command("rate 20mbit")
            rig.line.command("delay 10ms ab")
            self.assert_round_trip(wan.probe(rig.a, rig.b, 10, "2ms", wait="1s"), 15)
            self.assertEqual(rig.line.stats()["ba"]["rate_bits"], 20e6)
            for wrong in ("rate", "rate fast", "rate 1mbit up", "los 1%", "blackout", "blackout 0s", "", "stats now x y",
                          "queue 1GiB", "jitter 1s"):
                with self.assertRaisesRegex(wan.WanError, "E_USAGE"):
                    rig.line.command(wrong)
            self.assertEqual(rig.line.stats()["ba"]["rate_bits"], 20e6)

    def test_a_blackout_holds_as_long_as_it_was_told(self):
        with wan.Sides(rate="10mbit", delay="5ms") as rig:
            began = time.monotonic()
            rig.line.command("blackout 700ms")
            dark = wan.probe(rig.a, rig.b, 5, "1ms", wait="200ms")
            self.assertLess(time.monotonic() - began, 0.7)
            self.assertEqual(dark["received"], 0)
            light = wan.probe(rig.a, rig.b, 200, "5ms", wait="200ms")
            stats = rig.line.stats()
        passed = time.monotonic() - began
        self.assertGreater(light["received"], 50)
        # Every probe of the dark time is lost and no other: at 200 a second they tell its length.
        self.assertEqual(stats["ab"]["blackout_dropped"] + stats["ba"]["blackout_dropped"],
                         5 + 200 - light["received"])
        self.assertGreater(passed, 0.7)

    def test_jitter_reorders_only_when_asked(self):
        with wan.Sides(rate="100mbit", delay="10ms", jitter="5ms") as rig:
            kept = wan.probe(rig.a, rig.b, 400, "500us", wait="1s")
            rig.line.command("reorder on")
            mixed = wan.probe(rig.a, rig.b, 400, "500us", wait="1s")
        self.assertEqual(kept["reordered"], 0)
        self.assertGreater(kept["rtt_ms"]["max"] - kept["rtt_ms"]["min"], 3)
        self.assertGreater(mixed["reordered"], 20)
        self.assertEqual(mixed["received"], 400)


class TwoByTwo(Rig):
    def test_only_what_crosses_pays_for_the_line(self):
        with wan.Datacenters(2, 2, rate="50mbit", delay="10ms") as rig:
            inside = wan.probe(rig.nodes[0][0], rig.nodes[0][1], 10, "2ms", wait="1s")
            across = wan.probe(rig.nodes[0][1], rig.nodes[1][0], 10, "2ms", wait="1s")
            goodput = wan.flows(rig.nodes[0][0], rig.nodes[1][1], 2, seconds=0.8, skip=0.4)["goodput_mbit"]
            self.assertGreater(rig.lines[0, 1].stats()["ab"]["delivered"], 1000)
        self.assertLess(inside["rtt_ms"]["min"], 1)
        self.assert_round_trip(across, 20)
        self.assertAlmostEqual(goodput, 50 * TCP_SHARE, delta=1.5)


class CleansUp(Rig):
    def line(self, *words, **options):
        return subprocess.Popen([sys.executable, LINE, "--rate", "10mbit", *words], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def assert_gone(self, pid):
        wait_until(lambda: not namespaces(pid))

    def test_after_a_failure_inside(self):
        with self.assertRaisesRegex(RuntimeError, "mine"):
            with wan.Sides(rate="10mbit") as rig:
                rig.a.start(["sleep", "100"])
                raise RuntimeError("mine")
        for wrong in (dict(rate="fast"), dict(rate="1mbit", congestion="none"), dict(rate="1mbit", latency="1ms")):
            with self.assertRaisesRegex(wan.WanError, next(reversed(wrong.keys()))):
                wan.Sides(**wrong)

    def test_after_the_command_ends_with_its_status(self):
        line = self.line("--delay", "1ms", "--", "sh", "-c", "echo $A $B; wan stats; on b ip -o address; exit 7")
        stdout, stderr = line.communicate(timeout=10)
        self.assertEqual(line.returncode, 7, stderr)
        lines = stdout.splitlines()
        self.assertEqual(lines[0], "10.77.0.1 10.77.0.2")
        self.assertEqual(json.loads(lines[1])["ab"]["rate_bits"], 10e6)
        self.assertIn("10.77.0.2", stdout)
        self.assert_gone(line.pid)

    def test_after_ctrl_c_and_after_any_kill(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with self.subTest(signal=number):
                line = self.line("--", "sh", "-c", "echo up; sleep 100", start_new_session=True)
                self.assertEqual(line.stdout.readline(), "up\n")
                self.assertEqual(len(namespaces(line.pid)), 2)
                if number == signal.SIGINT:
                    os.killpg(line.pid, number)  # as a terminal does
                else:
                    line.send_signal(number)
                line.communicate(timeout=10)
                self.assert_gone(line.pid)

    def test_wrong_settings_are_named(self):
        line = self.line("--loss", "200%", "--", "true")
        _, stderr = line.communicate(timeout=10)
        self.assertEqual(line.returncode, 2)
        self.assertRegex(stderr, "E_USAGE.*loss.*100%")


def wait_until(holds, limit=5):
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("did not come to hold in time")
        time.sleep(0.01)


if __name__ == "__main__":
    wan.require()
    unittest.main(verbosity=2)
