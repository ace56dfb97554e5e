"""A paced device computes really and takes as long as a device of its stated speed would."""
import json
import statistics
import unittest

from cluster import ClusterTest

TOPOLOGY = """apiVersion: atoll.dev/v1
kind: Topology
metadata: {{name: paced}}
spec:
  datacenters:
    - name: here
      nodes:
{nodes}
"""


class Paced(ClusterTest):
    def topology(self, speeds):
        """A node for each speed in GFLOP/s; None: as fast as it is."""
        nodes = [f"        - {{name: here-{i}, memory: 1GiB"
                 + (f", speed: {speed}GFLOP/s, paced: true" if speed else "") + "}" for i, speed in enumerate(speeds)]
        path = self.root / f"topology-{self.runs}.yaml"
        path.write_text(TOPOLOGY.format(nodes="\n".join(nodes)))
        return path

    def train(self, speeds, **fields):
        """(losses, median seconds of a step, predicted seconds, the plan, what was said)"""
        status, _, stderr, folder = self.run_job(self.job(nodes=speeds, evaluate=0, snapshot=0, steps=12, **fields))
        self.assertEqual(status, 0, stderr)
        ends = [line["seconds"] for line in self.metrics(folder) if "loss" in line]
        plan = json.loads((folder / "plan.json").read_text())
        steps = [after - before for before, after in zip(ends[2:], ends[3:])]
        return self.losses(folder), statistics.median(steps), plan["predictedStepSeconds"], plan, stderr

    def layers(self, plan):
        return [actor["lastLayer"] - actor["firstLayer"] for actor in plan["actors"] if actor["kind"] == "layer shard"]

    def test_a_step_takes_what_was_predicted_and_no_bit_changes(self):
        reference, *_ = self.train([None])
        for speeds, fields in [((0.4, 0.4), dict(pp=2)), ((0.2, 0.6), dict(pp=2)),
                               ((0.6, 0.3), dict(dp=2))]:
            with self.subTest(speeds=speeds, **fields):
                losses, step, predicted, plan, said = self.train(speeds, **fields)
                print(f"{speeds} {fields}: a step took {step:.3f} s, predicted {predicted:.3f} s, "
                      f"layers {self.layers(plan)}")
                self.assertEqual(losses, reference)
                self.assertIn("PACED here-0 at", said)
                self.assertLess(abs(step - predicted) / predicted, 0.25)

    def test_the_faster_device_gets_more_layers(self):
        *_, plan, _ = self.train((0.2, 0.6), pp=2)
        slow, fast = self.layers(plan)
        self.assertLess(slow, fast)

    def test_the_faster_device_takes_more_micro_batches(self):
        _, equal, *_ = self.train((0.2, 0.6), dp=2)
        _, step, predicted, plan, _ = self.train((0.2, 0.6), dp=2, more=", micro_batches: [2, 6]")
        print(f"micro-batches 2:6: a step took {step:.3f} s, predicted {predicted:.3f} s; 4:4 took {equal:.3f} s")
        self.assertEqual(plan["microBatches"], [2, 6])
        self.assertLess(abs(step - predicted) / predicted, 0.25)
        self.assertGreater(equal / step, 1.2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
