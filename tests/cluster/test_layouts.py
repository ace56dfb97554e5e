"""Same seed, same bits: where the model runs does not change what it learns."""
import json
import re
import unittest

from cluster import LLAMA, ClusterTest

# (processes, dp, pp)
LAYOUTS = [(1, 1, 1), (1, 1, 2), (1, 1, 4), (1, 2, 2), (1, 8, 1), (2, 1, 2), (2, 2, 1), (2, 1, 4), (2, 2, 2), (4, 1, 4),
           (4, 2, 2), (4, 4, 1)]

# (codec, largest relative difference of a loss, bytes on the wire beside those of fp32, which weights are part of)
BLOCK_SCALED = [("fp8", 2e-2, 0.5), ("fp8+zstd", 2e-2, 0.5), ("int8", 5e-3, 0.5), ("int8+zstd", 5e-3, 0.5),
                ("int4", 5e-2, 0.4), ("int4+zstd", 5e-2, 0.4)]

# (codec, largest relative difference of the held-out loss after 40 steps, bytes on the wire beside those of fp32)
FEEDBACK = [("top-k:0.05", 5e-2, 0.1), ("power-sgd:2", 5e-2, 0.35)]


class Layouts(ClusterTest):
    def assert_memory_as_planned(self, folder):
        for node in json.loads((folder / "plan.json").read_text())["nodes"]:
            said = re.search(r"memory: tensors took at most ([0-9.]+) (B|KiB|MiB|GiB)",
                             (folder / "logs" / f"{node['name']}.log").read_text())
            self.assertIsNotNone(said, node["name"])
            taken = float(said[1]) * {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[said[2]]
            self.assertGreater(taken, 0)
            self.assertLessEqual(taken, node["memoryNeeded"], node["name"])

    def assert_mailboxes_as_derived(self, folder):
        for node in json.loads((folder / "plan.json").read_text())["nodes"]:
            said = re.search(r"mailboxes: at most (\d+) messages waited of (\d+) that can",
                             (folder / "logs" / f"{node['name']}.log").read_text())
            self.assertIsNotNone(said, node["name"])
            self.assertGreater(int(said[1]), 0)
            self.assertLessEqual(int(said[1]), int(said[2]), node["name"])

    def train(self, nodes, **fields):
        status, summary, stderr, folder = self.run_job(self.job(nodes=nodes, **fields))
        self.assertEqual(status, 0, stderr)
        self.assertEqual(summary["status"], "succeeded")
        self.assert_memory_as_planned(folder)
        self.assert_mailboxes_as_derived(folder)
        return self.losses(folder), summary

    def test_losses_are_bit_identical_over_every_layout(self):
        # clip 0.5 binds in every step, so the global norm is part of what must agree; the head is tied.
        reference, _ = self.train(1, clip=0.5)
        self.assertEqual(len(reference), 22)  # 20 steps, 2 evaluations
        self.assertTrue(all(line["gradient_norm"] > 0.5 for line in reference[:3] if "gradient_norm" in line))
        for nodes, dp, pp in LAYOUTS[1:]:
            with self.subTest(processes=nodes, dp=dp, pp=pp):
                losses, summary = self.train(nodes, clip=0.5, dp=dp, pp=pp)
                self.assertEqual(losses, reference)
                self.assertEqual(summary["wire_bytes"] > 0, nodes > 1)

    def test_sharing_the_optimizer_out_changes_no_bit(self):
        # In both the head is tied, across stages where there are two.
        for fields in (dict(clip=0.5), dict(family=LLAMA, model=", tie_word_embeddings: true",
                                            training=", precision: bf16", steps=5)):
            reference, _ = self.train(1, **fields)
            for nodes, dp, pp in [(2, 2, 1), (4, 4, 1), (4, 2, 2), (1, 4, 2), (2, 8, 1)]:
                with self.subTest(processes=nodes, dp=dp, pp=pp, **fields):
                    self.assertEqual(self.train(nodes, dp=dp, pp=pp, zero=1, **fields)[0], reference)

    def test_sharing_gradients_out_changes_no_bit(self):
        # Leaves are dealt to replicas in turn, so samples, dropout and the sum of losses must follow.
        fields = dict(clip=0.5, model=", embd_pdrop: 0.1, attn_pdrop: 0.1, resid_pdrop: 0.1")
        reference, _ = self.train(1, **fields)
        for nodes, dp, pp, schedule in ((1, 2, 1, "1f1b"), (2, 2, 1, "1f1b"), (4, 4, 1, "1f1b"), (4, 2, 2, "1f1b"),
                                        (2, 4, 2, "1f1b"), (2, 8, 1, "1f1b"), (4, 2, 2, "zero-bubble"),
                                        (4, 2, 2, "interleaved:2")):
            with self.subTest(processes=nodes, dp=dp, pp=pp, schedule=schedule):
                self.assertEqual(self.train(nodes, dp=dp, pp=pp, schedule=schedule, zero=2, **fields)[0], reference)
        fields = dict(family=LLAMA, model=", tie_word_embeddings: true", training=", precision: bf16", steps=5)
        reference, _ = self.train(1, **fields)
        for nodes, dp, pp in ((2, 2, 1), (4, 2, 2)):
            with self.subTest(processes=nodes, dp=dp, pp=pp, **fields):
                self.assertEqual(self.train(nodes, dp=dp, pp=pp, zero=2, **fields)[0], reference)

    def test_sharing_weights_out_changes_no_bit(self):
        # A bucket a layer or two, and one; the tied table is gathered for both of its uses.
        for fields in (dict(clip=0.5, model=", embd_pdrop: 0.1, attn_pdrop: 0.1, resid_pdrop: 0.1"),
                       dict(family=LLAMA, model=", tie_word_embeddings: true", training=", precision: bf16", steps=5)):
            reference, _ = self.train(1, **fields)
            for nodes, dp, pp, schedule, recompute in (
                    (1, 2, 1, "1f1b", "none"), (2, 2, 1, "1f1b", "none"), (4, 4, 1, "1f1b", "full"), (4, 2, 2, "1f1b", "none"),
                    (2, 4, 2, "1f1b", "selective"), (2, 8, 1, "1f1b", "none"), (4, 2, 2, "interleaved:2", "none")):
                for more in ("", ", bucket_bytes: 20000"):
                    with self.subTest(processes=nodes, dp=dp, pp=pp, schedule=schedule, recompute=recompute, more=more, **fields):
                        self.assertEqual(self.train(nodes, dp=dp, pp=pp, schedule=schedule, recompute=recompute, zero=3,
                                                    more=more, **fields)[0], reference)

    def test_sharing_the_optimizer_out_keeps_replicas_equal_under_codecs(self):
        reference, _ = self.train(4, dp=4, zero=1)
        for codecs in (dict(gradients="int8"), dict(weights="bf16+zstd"), dict(codec="auto:0.01"),
                       dict(gradients="int8", zero=2), dict(codec="auto:0.01", zero=2),
                       dict(gradients="int8", zero=3), dict(weights="bf16+zstd", zero=3, more=", bucket_bytes: 20000")):
            with self.subTest(**codecs):
                rounded, _ = self.train(4, dp=4, **(dict(zero=1) | codecs))
                worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(reference, rounded) if "loss" in a)
                self.assertGreater(worst, 0)
                self.assertLess(worst, 2e-2)

    def test_gradients_in_buckets_change_no_bit(self):
        # A bucket a layer or two, in every mix; where ranks share layers or sequences the same as in one bucket.
        more = ", bucket_bytes: 20000"
        for fields in (dict(clip=0.5), dict(clip=0.5, family=LLAMA, model=", tie_word_embeddings: true",
                                            training=", precision: bf16", steps=5)):
            reference, _ = self.train(1, **fields)
            for nodes, layout in ((1, dict(dp=2)), (2, dict(dp=2, zero=1)), (4, dict(dp=4, zero=2, recompute="full")),
                                  (4, dict(dp=2, pp=2)), (4, dict(dp=2, pp=2, zero=2, schedule="zero-bubble")),
                                  (2, dict(dp=2, pp=2, schedule="zero-bubble")),
                                  (4, dict(dp=2, pp=2, zero=1, schedule="interleaved:2", recompute="selective"))):
                with self.subTest(processes=nodes, **layout, **fields):
                    self.assertEqual(self.train(nodes, more=more, **layout, **fields)[0], reference)
            for layout in (dict(dp=2, tp=2, zero=2), dict(tp=2, pp=2, dp=2, schedule="zero-bubble"), dict(dp=2, cp=2, zero=1),
                           dict(cp=4, pp=2, zero=2), dict(dp=2, cp=2, schedule="zero-bubble")):
                with self.subTest(**layout, **fields):
                    whole, _ = self.train(4, **layout, **fields)
                    self.assertEqual(self.train(4, more=more, **layout, **fields)[0], whole)
        whole, _ = self.train(2, dp=2, more=", micro_batches: [5, 3]")
        self.assertEqual(self.train(2, dp=2, more=", micro_batches: [5, 3]" + more)[0], whole)

    def assert_close(self, losses, reference, bound):
        self.assertEqual(len(losses), len(reference))
        worst = 0
        for ours, theirs in zip(losses, reference):
            self.assertEqual(ours.keys(), theirs.keys())
            worst = max(worst, *(abs(ours[key] - theirs[key]) / theirs[key] for key in theirs if key != "step"))
        self.assertLess(worst, bound)
        return worst

    def test_ranks_that_share_layers_learn_the_same(self):
        # Heads, inner channels and the vocabulary are split, and what ranks make is added up in another order.
        for fields, bound in ((dict(clip=0.5), 1e-4), (dict(family=LLAMA, model=", tie_word_embeddings: true"), 1e-4),
                              (dict(training=", precision: bf16", steps=5), 5e-3)):
            reference, _ = self.train(1, **fields)
            for nodes, layout in ((2, dict(tp=2)), (1, dict(tp=2, pp=2)), (4, dict(tp=2, pp=2, schedule="zero-bubble")),
                                  (4, dict(tp=2, dp=2)), (4, dict(tp=2, dp=2, zero=1)), (4, dict(tp=2, dp=2, zero=2)),
                                  (2, dict(tp=2, pp=2, schedule="interleaved:2", recompute="full"))):
                with self.subTest(processes=nodes, **layout, **fields):
                    self.assert_close(self.train(nodes, **layout, **fields)[0], reference, bound)

    def test_four_ranks_share_layers_and_stay_alike_under_codecs(self):
        reference, _ = self.train(1, clip=0.5)
        worst = self.assert_close(self.train(4, clip=0.5, tp=4)[0], reference, 1e-4)
        self.assertGreater(worst, 0)
        rounded, _ = self.train(4, clip=0.5, tp=4, codec="bf16+zstd")
        self.assert_close(rounded, reference, 2e-2)
        for layout in (dict(tp=2, dp=2), dict(tp=2, pp=2)):  # the second sends strips between datacenters
            self.assert_close(self.train(4, clip=0.5, codec="int8", **layout)[0], reference, 5e-2)

    def test_replicas_that_share_sequences_learn_the_same(self):
        # Attention over keys and values that go round is added up in another order.
        layouts = [(2, dict(cp=2)), (4, dict(cp=2, tp=2)), (1, dict(cp=8)),
                   (4, dict(cp=4, pp=2, schedule="zero-bubble")), (4, dict(cp=2, dp=2, zero=1)), (4, dict(cp=4, zero=2)),
                   (4, dict(cp=2, pp=2)), (4, dict(cp=4)),
                   (2, dict(cp=4, pp=2, tp=2, dp=2, zero=1, schedule="interleaved:2", recompute="selective"))]
        for fields, bound, some in ((dict(clip=0.5), 1e-6, layouts),
                                    (dict(family=LLAMA, model=", tie_word_embeddings: true"), 1e-6, layouts),
                                    (dict(training=", precision: bf16", steps=5), 5e-3, layouts[:4])):
            reference, _ = self.train(1, **fields)
            for nodes, layout in some:
                with self.subTest(processes=nodes, **layout, **fields):
                    worst = self.assert_close(self.train(nodes, **layout, **fields)[0], reference, bound)
                    self.assertGreater(worst, 0)

    def test_replicas_that_share_sequences_stay_alike_under_codecs(self):
        reference, _ = self.train(1)
        exact, plain = self.train(4, cp=4)
        packed, fewer = self.train(4, cp=4, activations="none+zstd")
        self.assertEqual(packed, exact)
        self.assertLess(fewer["wire_bytes"], plain["wire_bytes"])
        self.assert_close(self.train(4, cp=2, dp=2, gradients="bf16+zstd")[0], reference, 2e-2)

    def test_error_feedback_learns_where_sequences_are_shared(self):
        reference, _ = self.train(1, steps=40)
        sparse, _ = self.train(4, cp=2, dp=2, steps=40, gradients="top-k:0.05")
        last, best = ([line["validation_loss"] for line in lines if "validation_loss" in line][-1]
                      for lines in (sparse, reference))
        print(f"top-k:0.05 and cp 2: held-out loss {last:.4f}, of fp32 {best:.4f}")
        self.assertLess(abs(last - best) / best, 5e-2)

    def test_replicas_that_take_unequally_many_micro_batches_learn_the_same(self):
        # The same leaves, whose gradients are added up in another order. Dropout follows the leaf.
        layouts = [(1, [6, 2], {}), (2, [5, 3], {}), (2, [1, 7], dict(zero=1)), (4, [1, 1, 2, 4], {}),
                   (4, [1, 1, 2, 4], dict(zero=1)), (4, [5, 3], dict(pp=2)), (4, [6, 2], dict(pp=2, schedule="zero-bubble")),
                   (4, [3, 5], dict(tp=2)), (4, [1, 1, 2, 4], dict(pp=2, tp=2, zero=1, schedule="interleaved:2")),
                   (4, [5, 3], dict(cp=2)), (1, [5, 3], dict(cp=4, tp=2, zero=1))]
        for fields in (dict(clip=0.5), dict(clip=0.5, model=", embd_pdrop: 0.1, attn_pdrop: 0.1, resid_pdrop: 0.1")):
            reference, _ = self.train(1, **fields)
            for nodes, counts, layout in layouts:
                if "model" in fields and ("tp" in layout or "cp" in layout):
                    continue
                with self.subTest(processes=nodes, counts=counts, **layout, **fields):
                    losses, _ = self.train(nodes, dp=len(counts), more=f", micro_batches: {counts}", **layout, **fields)
                    self.assertGreater(self.assert_close(losses, reference, 1e-5), 0)

    def test_equal_micro_batches_that_are_listed_change_no_bit(self):
        reference, _ = self.train(1, steps=5)
        self.assertEqual(self.train(2, steps=5, dp=2, more=", micro_batches: [4, 4]")[0], reference)

    def test_recomputing_changes_no_bit(self):
        reference, _ = self.train(1, clip=0.5)
        for nodes, pp, recompute, schedule in ((1, 1, "selective", "1f1b"), (2, 2, "full", "1f1b"),
                                               (2, 2, "full", "zero-bubble")):
            with self.subTest(recompute=recompute, schedule=schedule):
                self.assertEqual(self.train(nodes, clip=0.5, pp=pp, recompute=recompute, schedule=schedule)[0], reference)

    def test_what_the_planner_chooses_learns_the_same(self):
        reference, _ = self.train(1)
        job = self.job(nodes=2)
        text = job.read_text()
        asked = text[text.index("  parallelism:"):]
        asked = asked[:asked.index("\n")]
        job.write_text(text.replace(asked, "  parallelism: {mode: auto}"))
        status, summary, stderr, folder = self.run_job(job)
        self.assertEqual(status, 0, stderr)
        self.assertEqual(self.losses(folder), reference)

    def test_no_schedule_changes_a_bit(self):
        reference, _ = self.train(1, clip=0.5)
        for nodes, dp, pp, schedule in ((1, 1, 2, "zero-bubble"), (2, 1, 2, "zero-bubble"), (4, 2, 2, "zero-bubble"),
                                        (4, 1, 4, "zero-bubble"), (2, 1, 2, "interleaved:2"),
                                        (2, 1, 2, "interleaved:3"), (4, 2, 2, "interleaved:2")):
            with self.subTest(processes=nodes, dp=dp, pp=pp, schedule=schedule):
                self.assertEqual(self.train(nodes, clip=0.5, dp=dp, pp=pp, schedule=schedule)[0], reference)

    def test_llama_is_bit_identical_over_layouts_with_its_head_tied_and_not(self):
        for tied in ("true", "false"):
            model = f", tie_word_embeddings: {tied}"
            reference, summary = self.train(1, family=LLAMA, model=model)
            first, last = (reference[i]["loss"] for i in (0, -2))
            self.assertLess(last, first - 1)  # it learns
            for nodes, dp, pp in [(1, 2, 2), (2, 1, 2), (4, 1, 4), (4, 2, 2)]:
                with self.subTest(tied=tied, processes=nodes, dp=dp, pp=pp):
                    losses, _ = self.train(nodes, family=LLAMA, model=model, dp=dp, pp=pp)
                    self.assertEqual(losses, reference)

    def test_llama_trains_in_bf16_alike_on_every_layout(self):
        fields = dict(family=LLAMA, training=", precision: bf16", steps=5)
        reference, _ = self.train(1, **fields)
        self.assertEqual(self.train(4, dp=2, pp=2, **fields)[0], reference)

    def test_dropout_does_not_depend_on_the_layout(self):
        model = ", embd_pdrop: 0.1, attn_pdrop: 0.1, resid_pdrop: 0.1"
        reference, _ = self.train(1, model=model, steps=5)
        self.assertEqual(self.train(4, model=model, steps=5, dp=2, pp=2)[0], reference)

    def test_the_loader_s_prefetch_and_workers_change_no_bit(self):
        reference, _ = self.train(1, steps=5)
        for loader in (", prefetch: 1", ", prefetch: 5, workers: 3"):
            with self.subTest(loader=loader):
                self.assertEqual(self.train(1, steps=5, loader=loader)[0], reference)
                self.assertEqual(self.train(4, steps=5, loader=loader, dp=2, pp=2)[0], reference)

    def test_lossy_codecs_stay_within_their_bound(self):
        reference, plain = self.train(4, dp=2, pp=2)
        rounded, packed = self.train(4, dp=2, pp=2, codec="bf16+zstd", weights="none+zstd")
        worst = max(abs(a["loss"] - b["loss"]) / a["loss"] for a, b in zip(reference, rounded) if "loss" in a)
        print(f"bf16+zstd: largest relative difference of a loss over 20 steps {worst:.2e}; "
              f"{plain['wire_bytes']} bytes on the wire became {packed['wire_bytes']}")
        self.assertGreater(worst, 0)
        self.assertLess(worst, 5e-3)
        self.assertLess(packed["wire_bytes"], 0.6 * plain["wire_bytes"])

    def test_error_feedback_learns_with_a_part_of_the_bytes(self):
        reference, plain = self.train(2, dp=2, steps=40)
        for codec, bound, bytes_bound in FEEDBACK:
            with self.subTest(codec=codec):
                sparse, packed = self.train(2, dp=2, steps=40, gradients=codec)
                last, best = ([line["validation_loss"] for line in lines if "validation_loss" in line][-1]
                              for lines in (sparse, reference))
                print(f"{codec}: held-out loss {last:.4f}, of fp32 {best:.4f}; "
                      f"{plain['wire_bytes']} bytes on the wire became {packed['wire_bytes']}")
                self.assertLess(abs(last - best) / best, bound)
                self.assertLess(packed["wire_bytes"], bytes_bound * plain["wire_bytes"])

    def test_block_scaled_codecs_stay_near_fp32(self):
        reference, plain = self.train(4, dp=2, pp=2)
        for codec, bound, bytes_bound in BLOCK_SCALED:
            with self.subTest(codec=codec):
                rounded, packed = self.train(4, dp=2, pp=2, codec=codec)
                worst = max(abs(a[key] - b[key]) / a[key]
                            for a, b in zip(reference, rounded, strict=True) for key in ("loss", "validation_loss")
                            if key in a)
                ratio = packed["wire_bytes"] / plain["wire_bytes"]
                print(f"{codec}: largest relative difference of a loss over 20 steps {worst:.2e}; "
                      f"{ratio:.3f} of the bytes on the wire")
                self.assertGreater(worst, 0)
                self.assertLess(worst, bound)
                self.assertLess(ratio, bytes_bound)


if __name__ == "__main__":
    unittest.main(verbosity=2)
