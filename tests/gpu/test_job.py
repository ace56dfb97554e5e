"""A small job on a GPU and processors, by the atoll binary in $ATOLL with the plug-in in $ATOLL_PLUGINS. Skips aloud
without a GPU."""
import os
import pathlib
import re
import sys
import unittest

sys.path.insert(0, os.environ.get("ATOLL_CLUSTER_TESTS", str(pathlib.Path(__file__).parent.parent / "cluster")))
from cluster import LLAMA, TOPOLOGY, ClusterTest  # noqa: E402

PLUGINS = os.environ["ATOLL_PLUGINS"]


class GpuJob(ClusterTest):
    def topology(self, devices):
        nodes = [f"{{name: node-{i}, memory: 1GiB, speed: 1TFLOP/s, device: '{device}'}}" for i, device in enumerate(devices)]
        path = self.root / f"topology-{self.runs}.yaml"
        path.write_text(TOPOLOGY.format(datacenters=f"    - {{name: here, nodes: [{', '.join(nodes)}]}}", lines=""))
        return path

    def train(self, devices, **fields):
        status, _, stderr, folder = self.run_job(self.job(nodes=devices, **fields), "--plugins", PLUGINS, timeout=300)
        self.assertEqual(status, 0, stderr)
        return self.losses(folder)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        asking = cls("test_it_learns_as_processors_do")
        status, _, stderr, _ = asking.run_job(asking.job(nodes=["cuda:0"]), "--plugins", PLUGINS, timeout=300)
        said = re.search(r"E_NO_FIT: device cuda:0: this machine has 0 of them: (.*)", stderr)
        if status == 2 and said:
            print(f"SKIPPED: no GPU: {said[1]}", flush=True)
            cls.tearDownClass()
            os._exit(77)

    def test_it_learns_as_processors_do(self):
        dropout = ", resid_pdrop: 0.1, attn_pdrop: 0.1, embd_pdrop: 0.1"
        mixed = ["cpu", "cuda:0"]
        for devices, fields, tolerance in [
                (["cuda:0"], dict(model=dropout), 1e-3),
                (mixed, dict(pp=2), 1e-3),
                (mixed[::-1], dict(pp=2, family=LLAMA, schedule="zero-bubble"), 1e-3),
                (mixed, dict(dp=2, zero=1), 1e-3),
                (mixed, dict(dp=2, zero=2, training=", precision: bf16"), 2e-2),
                (mixed, dict(pp=2, codec="int8+zstd"), 2e-2)]:
            with self.subTest(devices=devices, **fields):
                expected = self.train(["cpu"] * len(devices), **fields)
                losses = self.train(devices, **fields)
                self.assertEqual(losses, self.train(devices, **fields), "not the same bits twice")
                self.assertEqual([line.keys() for line in losses], [line.keys() for line in expected])
                for here, there in zip(expected, losses):
                    for key, value in here.items():
                        self.assertAlmostEqual(there[key], value, delta=tolerance * value, msg=f"{key} of {here}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
