"""From the first key to revocation, as a user walks it: authority, scheduler, token, enrolment, a job, revocation."""
import json
import pathlib
import re
import subprocess
import time
import unittest

from cluster import ATOLL, ClusterTest


def wait_for(what, seconds=20):
    """Polls a condition of another process; its value once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")


class Identity(ClusterTest):
    def setUp(self):
        self.processes = []
        self.home = self.root / self.id().rsplit(".", 1)[1]
        self.home.mkdir()

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait(timeout=10)
            process.stderr.close()

    def atoll(self, *arguments, status=0):
        done = subprocess.run([ATOLL, *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=self.home)
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        return done

    def spawn(self, *arguments):
        process = subprocess.Popen([ATOLL, *map(str, arguments)], cwd=self.home, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def start_scheduler(self, *options, identity="cluster/scheduler"):
        address = self.home / "address"
        address.unlink(missing_ok=True)
        scheduler = self.spawn("scheduler", "--identity", identity, "--topology", self.topology(1), "--listen",
                               "127.0.0.1:0", "--address-file", address, "--log", "scheduler.log", *options)
        wait_for(lambda: address.exists() or scheduler.poll() is not None)
        self.assertIsNone(scheduler.poll(), scheduler.stderr.read() if scheduler.poll() is not None else "")
        return scheduler, address.read_text()

    def token(self, name, *options):
        self.atoll("token", "create", "--identity", "cluster/scheduler", "--datacenter", "east", "--out", name, *options)
        return name

    def log(self):
        return (self.home / "scheduler.log").read_text()

    def audit(self):
        return (self.home / "audit.log").read_text()

    def verify(self, status=0, *options):
        return self.atoll("audit", "verify", "audit.log", "--credential", "cluster/scheduler/credential", *options,
                          status=status)

    def stop(self, process):
        process.terminate()
        process.wait(timeout=10)

    def test_from_authority_to_revocation(self):
        self.atoll("keys", "cluster", "cluster", "--datacenter", "east", "--lifetime", "1h")
        self.atoll("keys", "check", "cluster/scheduler")
        scheduler, address = self.start_scheduler("--authority", "cluster/authority.key", "--roster", "roster")
        limits = pathlib.Path(f"/proc/{scheduler.pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +0 +0")

        # A token: printed once, to a file that only its owner may read.
        self.token("token")
        text = (self.home / "token").read_text()
        self.assertRegex(text, r"^v1\.[\w-]{43}\.[\w-]{22}\.[\w-]{43}\n$")
        self.assertEqual((self.home / "token").stat().st_mode & 0o777, 0o600)
        token_id = text.split(".")[2]
        self.assertIn(token_id, self.atoll("token", "list").stdout)

        # The node enrols with it, and serves the jobs of a client, one after another.
        node = self.spawn("node", "--identity", "east-0", "--enrol", "token", "--name", "east-0", "--scheduler", address,
                          "--log", "node.log")
        wait_for(lambda: "registered" in self.log() or node.poll() is not None)
        self.assertIsNone(node.poll())
        self.assertIn("used by east-0", self.atoll("token", "list").stdout)
        for steps in (5, 6):
            job = self.job(steps=steps)
            command, _ = self.command(job, "--scheduler", address, "--identity", "cluster/client")
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.home)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout.strip().splitlines()[-1])["steps"], steps)
        self.assertIsNone(node.poll())
        node.terminate()
        node.wait(timeout=10)

        # The token is no good any more, and the machine hears no reason.
        refused = self.atoll("enrol", "token", "--identity", "mallory", "--scheduler", address, "--name", "mallory", status=4)
        self.assertRegex(refused.stderr, r"^E_REFUSED: scheduler .*; its log says why")
        self.assertEqual([path.name for path in self.home.glob("mallory*/*")], ["node.key"])
        wait_for(lambda: f"token {token_id}: was used already, by east-0" in self.audit())

        # The node is back, and is revoked: dropped at once, and never let in again.
        shown = self.atoll("keys", "show", "east-0").stdout
        node_id = re.search(r"node +([0-9a-f]{64})", shown).group(1)
        node = self.spawn("node", "--identity", "east-0", "--scheduler", address, "--log", "node.log")
        wait_for(lambda: self.log().count("registered") == 2)
        self.atoll("keys", "revoke", "roster", "--authority", "cluster/authority.key", "--node", node_id)
        self.assertNotEqual(node.wait(timeout=10), 0)
        wait_for(lambda: "session-dropped\teast-0" in self.audit())
        again = self.spawn("node", "--identity", "east-0", "--scheduler", address, "--log", "node.log")
        self.assertEqual(again.wait(timeout=20), 4)

        # What the audit log says of all this is true to the last line.
        self.stop(scheduler)
        self.assertRegex(self.verify().stdout, r"audit.log: ok, \d+ lines")
        for kind in ("started", "token-created", "enrolled", "handshake-refused", "roster", "session-dropped"):
            self.assertIn(f"\t{kind}\t", self.audit())
        self.assertNotIn(text.strip().split(".")[3], self.audit() + self.log())
        self.tampered()

    def tampered(self):
        log = self.home / "audit.log"
        good = log.read_text().splitlines(keepends=True)
        log.write_text("".join(good[:2] + good[3:]))
        self.assertIn("E_DATA: audit.log:3: ", self.verify(2).stderr)
        log.write_text("".join(good[:-1]))
        self.assertIn(f"E_DATA: audit.log:{len(good)}: the log ends here", self.verify(2).stderr)
        log.write_text("".join(good[:1] + [good[1].replace("token-created", "token-revoked")] + good[2:]))
        self.assertIn("E_DATA: audit.log:3: the line before was changed", self.verify(2).stderr)
        # Nor does a scheduler go on writing behind it.
        done = self.atoll("scheduler", "--identity", "cluster/scheduler", "--topology", self.topology(1), "--listen",
                          "127.0.0.1:0", status=2)
        self.assertIn("E_DATA: audit.log:3: the line before was changed", done.stderr)
        log.write_text("".join(good))
        self.verify()

    def test_authority_that_is_never_online(self):
        self.atoll("keys", "authority", "authority.key")
        self.atoll("keys", "policy", "cluster.policy", "--authority", "authority.key", "--cipher", "ChaChaPoly")
        self.atoll("keys", "new", "scheduler", "--role", "scheduler", "--name", "scheduler", "--datacenter", "hq")
        self.atoll("keys", "sign", "scheduler/request", "--authority", "authority.key", "--out", "s.grant", "--policy",
                   "cluster.policy")
        self.atoll("keys", "install", "scheduler", "s.grant", "--authority-key", "authority.key.pub")
        self.atoll("keys", "new", "east-0", "--name", "east-0", "--datacenter", "east")
        self.assertIn("east-0", self.atoll("keys", "show", "east-0/request").stdout)
        refused = self.atoll("keys", "sign", "east-0/request", "--authority", "authority.key", "--out", "n.grant", status=2)
        self.assertIn("--scheduler", refused.stderr)
        self.atoll("keys", "sign", "east-0/request", "--authority", "authority.key", "--out", "n.grant", "--scheduler",
                   "scheduler/credential", "--policy", "cluster.policy")
        refused = self.atoll("keys", "install", "scheduler", "n.grant", status=4)
        self.assertIn("another key", refused.stderr)
        self.atoll("keys", "install", "east-0", "n.grant")
        self.assertIn("ChaChaPoly", self.atoll("keys", "show", "east-0").stdout)
        _, address = self.start_scheduler(identity="scheduler")
        self.spawn("node", "--identity", "east-0", "--scheduler", address, "--log", "node.log")
        wait_for(lambda: "node east-0 of east registered" in self.log())

        # Such a scheduler enrols nobody, and says to its operator what does.
        self.atoll("token", "create", "--identity", "scheduler", "--datacenter", "east", "--out", "token")
        self.atoll("enrol", "token", "--identity", "east-1", "--scheduler", address, "--name", "east-1", status=4)
        self.assertFalse((self.home / "east-1" / "credential").exists())
        wait_for(lambda: "atoll keys sign" in self.log())

    def test_secrets_that_others_may_read(self):
        self.atoll("keys", "cluster", "cluster", "--datacenter", "east")
        key = self.home / "cluster" / "scheduler" / "node.key"
        key.chmod(0o644)
        for command in (("keys", "check", "cluster/scheduler"), ("keys", "show", "cluster/scheduler"),
                        ("token", "create", "--identity", "cluster/scheduler", "--datacenter", "east")):
            refused = self.atoll(*command, status=2)
            self.assertIn("E_KEY_PERM", refused.stderr)
            self.assertIn("chmod 600", refused.stderr)
        key.chmod(0o600)
        self.token("token")
        (self.home / "token").chmod(0o640)
        refused = self.atoll("enrol", "token", "--identity", "east-0", "--scheduler", "127.0.0.1:1", status=2)
        self.assertIn("E_KEY_PERM", refused.stderr)
        # A second authority in the place of the first would orphan a cluster.
        self.atoll("keys", "cluster", "cluster", "--datacenter", "east", status=2)
        self.atoll("keys", "authority", "cluster/authority.key", status=2)

    def test_token_that_is_revoked_or_expires(self):
        self.atoll("keys", "cluster", "cluster", "--datacenter", "east")
        _, address = self.start_scheduler("--authority", "cluster/authority.key")
        self.token("revoked")
        token_id = (self.home / "revoked").read_text().split(".")[2]
        self.atoll("token", "revoke", token_id, "--identity", "cluster/scheduler")
        self.atoll("token", "revoke", token_id, "--identity", "cluster/scheduler", status=4)
        self.token("short", "--ttl", "1s")
        wait_for(lambda: "expired" in self.atoll("token", "list").stdout)
        for token, reason in (("revoked", "was revoked"), ("short", "expired")):
            self.atoll("enrol", token, "--identity", "east-0", "--scheduler", address, "--name", "east-0", status=4)
            wait_for(lambda: reason in self.audit())
        self.token("client", "--role", "client")
        self.atoll("enrol", "client", "--identity", "me", "--scheduler", address, "--name", "me", status=4)
        self.atoll("enrol", "client", "--identity", "me", "--scheduler", address, "--name", "me", "--role", "client")
        self.assertIn("client", self.atoll("keys", "show", "me/credential").stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
