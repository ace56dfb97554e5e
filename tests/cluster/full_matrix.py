"""Every layout of a small model on at most four processes: dp, tp, pp and cp of 1, 2 and 4 with a product of at most 4, every
zero_stage, schedule and recompute. The first 20 losses equal those of one device: bit for bit where only the place changes, within
1e-4 where ranks or contexts add up in another order; and memory and mailboxes stay within what the plan says. With zero_stage 3 a bucket is a layer or two.

Takes some minutes: ATOLL=build/release/bin/atoll tests/cluster/run tests/cluster/full_matrix.py
"""
import itertools
import unittest

from test_layouts import Layouts


def matrix():
    for dp, tp, pp, cp in itertools.product((1, 2, 4), repeat=4):
        if dp * tp * pp * cp > 4:
            continue
        for zero in (0, 1, 2, 3) if dp * cp > 1 else (0,):
            for schedule in ("1f1b", "zero-bubble", "interleaved:2") if pp > 1 else ("1f1b",):
                if zero == 3 and (tp * cp > 1 or schedule == "zero-bubble"):
                    continue
                for recompute in ("none", "selective", "full") if cp == 1 else ("none", "selective"):
                    yield dict(dp=dp, tp=tp, pp=pp, cp=cp, zero=zero, schedule=schedule, recompute=recompute)


class FullMatrix(Layouts):
    def test_every_layout_learns_the_same(self):
        reference, _ = self.train(1, clip=0.5)
        worst, count = 0, 0
        for layout in matrix():
            nodes = layout["dp"] * layout["tp"] * layout["pp"] * layout["cp"]
            with self.subTest(**layout):
                more = ", bucket_bytes: 20000" if layout["zero"] == 3 else ""
                losses, _ = self.train(nodes, clip=0.5, more=more, **layout)
                if layout["tp"] * layout["cp"] == 1:
                    self.assertEqual(losses, reference)
                else:
                    worst = max(worst, self.assert_close(losses, reference, 1e-4))
                count += 1
        print(f"{count} layouts; the largest relative difference where sums are in another order: {worst:.2e}")


def load_tests(loader, _, __):
    return unittest.TestSuite([FullMatrix("test_every_layout_learns_the_same")])


if __name__ == "__main__":
    unittest.main()
