"""A lab: encodings by content and made when they are looked at, steps that run once, progress, cancelling."""

import gc
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass, fields
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import samkit
from samkit.errors import Cancelled
from samkit.media.pictures import Picture
from samkit.media.samples import load_sample
from samkit.work import lab as lab_module
from samkit.work.lab import Lab
from samkit.work.memory import Memory

ran: list[tuple] = []
"""What the functions below were called with."""


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


def add(a, b):
    ran.append((a, b))
    return a + b


def grow(start, count):
    ran.append((start, count))
    return np.arange(start, start + count)


@dataclass(frozen=True)
class Halves:
    left: np.ndarray
    right: np.ndarray


def halves(array):
    ran.append((array,))
    return Halves(array[: len(array) // 2].copy(), array[len(array) // 2 :].copy())


def total(array):
    ran.append((array,))
    return float(array.sum())


def total_of_both(both: Halves):
    ran.append((both,))
    return float(both.left.sum() + both.right.sum())


def in_parts(count, lab):
    """A step that asks for other ones and says how far it is."""
    ran.append(("in_parts", count))
    sums = []
    for i in range(count):
        lab.report(i / count, f"Part {i + 1} of {count}")
        sums.append(lab.recall(add, i, 1))
    return sums


def fail(reason):
    ran.append((reason,))
    raise ValueError(reason)


def identity(value):
    ran.append((value,))
    return value


class CountedModel:
    """A model that counts how often it encodes."""

    def __init__(self, sha256: str = "x", nbytes: int = 400):
        self.info = SimpleNamespace(sha256=sha256, native_side=64, window_sizes=(8, 4))
        self.device, self.dtype = "cpu", "float32"
        self.calls: list[dict] = []
        self._nbytes = nbytes

    def block_seconds(self, size, **options):
        return []

    def encode_image(self, rgb, **options):
        self.calls.append(options)
        return SimpleNamespace(nbytes=self._nbytes)


PICTURES = [Picture(np.full((4, 4, 3), value, np.uint8), str(value)) for value in range(4)]


def test_a_step_runs_once_for_the_same_arguments():
    lab = Lab()
    assert lab.recall(add, 1, 2) == 3 and lab.recall(add, 1, 2) == 3 and len(ran) == 1
    assert lab.recall(add, 2, 1) == 3 and lab.recall(add, 1.0, 2) == 3 and len(ran) == 3
    assert lab.recall(add, (1,), (2,)) == (1, 2) == lab.recall(add, (1,), (2,)) and len(ran) == 4


def test_another_function_is_another_step():
    lab = Lab()
    assert lab.recall(add, 1, 2) == 3 and lab.recall(grow, 1, 2).tolist() == [1, 2]


def test_a_lab_knows_what_it_would_not_run():
    lab = Lab()
    assert not lab.knows(add, 1, 2) and not ran
    lab.recall(add, 1, 2)
    assert lab.knows(add, 1, 2) and not lab.knows(add, 1, 3) and len(ran) == 1


def test_another_number_of_threads_is_another_step():
    lab, threads = Lab(), torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            lab.recall(add, 1, 2)
    finally:
        torch.set_num_threads(threads)
    assert ran == [(1, 2), (1, 2)]


def test_labs_share_what_their_memories_hold_and_nothing_else():
    encodings, parts = Memory(2**20), Memory(2**20)
    Lab(encodings, parts).recall(add, 1, 2)
    assert Lab(encodings, parts).recall(add, 1, 2) == 3 and len(ran) == 1
    assert Lab().recall(add, 1, 2) == 3 and len(ran) == 2


def test_what_fails_is_tried_again():
    lab = Lab()
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            lab.recall(fail, "no")
    assert len(ran) == 2 and not lab.knows(fail, "no")


def test_a_function_that_its_name_does_not_say_is_refused():
    with pytest.raises(TypeError, match="can't be known by its content"):
        Lab().recall(lambda: 1)


def test_what_a_lab_gave_is_known_by_what_it_was_made_from():
    """Making it again after it was dropped changes nothing."""
    lab = Lab(parts=Memory(2**20))
    array = lab.recall(grow, 0, 10)
    both = lab.recall(halves, array)
    assert lab.recall(total, both.left) == 10 and lab.recall(total_of_both, both) == 45
    assert lab.recall(total_of_both, Halves(both.left, both.right)) == 45
    assert lab.recall(total, both.right) == 35
    steps = len(ran)
    lab._parts.clear()
    again = lab.recall(halves, lab.recall(grow, 0, 10))
    assert again is not both and len(ran) == steps + 2
    lab.recall(total, again.left)
    assert len(ran) == steps + 3
    assert lab.recall(total, both.left) == 10 and len(ran) == steps + 3, "the one made before counts as the same"


def test_no_step_reads_the_bytes_of_what_a_lab_gave(monkeypatch):
    lab = Lab()
    array = lab.recall(grow, 0, 10)
    monkeypatch.setattr(np, "ascontiguousarray", lambda *_: pytest.fail("the bytes were read"))
    assert lab.recall(total, array) == 45 and lab.recall(total, array) == 45 and len(ran) == 2


def test_parts_of_a_value_are_not_taken_for_each_other():
    lab = Lab()
    both = lab.recall(halves, lab.recall(grow, 0, 10))
    assert lab.recall(total, both.left) != lab.recall(total, both.right)
    swapped = lab.recall(total_of_both, Halves(both.right, both.left))
    assert swapped == 45 and lab.recall(total_of_both, both) == 45
    assert len([call for call in ran if isinstance(call[0], Halves)]) == 2


def test_an_array_that_no_lab_gave_counts_by_its_content():
    lab, array = Lab(), np.arange(4)
    assert lab.recall(total, array) == 6 == lab.recall(total, np.arange(4)) and len(ran) == 1
    array[0] = 10
    assert lab.recall(total, array) == 16


def test_what_is_remembered_can_not_be_written_to():
    lab = Lab()
    both = lab.recall(halves, lab.recall(grow, 0, 10))
    for array in (lab.recall(grow, 0, 10), both.left):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_keys_are_let_go_with_their_values():
    lab = Lab(parts=Memory(0))
    gc.collect()
    before = len(lab_module._keys)
    kept = lab.recall(halves, lab.recall(grow, 0, 10))
    assert len(lab_module._keys) == before + 4, "the array, the value of its halves, and each half"
    del kept
    ran.clear()
    gc.collect()
    assert len(lab_module._keys) == before


def test_a_value_that_is_handed_on_keeps_its_first_key():
    lab = Lab()
    array = lab.recall(grow, 0, 5)
    assert lab.recall(identity, array) is array
    lab.recall(total, array)
    assert lab.recall(total, lab.recall(grow, 0, 5)) == 10 and len(ran) == 3
    assert lab.recall(identity, PICTURES[0]) is PICTURES[0]
    assert lab.recall(identity, Picture(PICTURES[0].rgb.copy(), "same pixels")) is PICTURES[0]


def test_a_lab_among_the_arguments_counts_for_nothing():
    parts, seen = Memory(2**20), []
    first = Lab(parts=parts, progress=lambda share, line: seen.append((share, line)))
    assert first.recall(in_parts, 2, first.span(0.5, 1.0)) == [1, 2]
    assert seen == [(0.5, "Part 1 of 2"), (0.75, "Part 2 of 2")]
    steps = len(ran)
    assert Lab(parts=parts).recall(in_parts, 2, first) == [1, 2] and len(ran) == steps
    assert Lab(parts=parts).recall(in_parts, 3, first) == [1, 2, 3] and len(ran) == steps + 2, "one more part"


def test_shares_of_a_span_are_parts_of_the_whole():
    seen = []
    lab = Lab(progress=lambda share, line: seen.append(share))
    inner = lab.span(0.2, 0.6).span(0.5, 1.0)
    for share in (0.0, 0.5, 1.0):
        inner.report(share, "Working")
    assert seen == pytest.approx([0.4, 0.5, 0.6])
    Lab().span(0, 1).report(0.5, "nobody listens")


def test_a_cancelled_run_ends_at_its_next_report():
    stop = threading.Event()
    lab = Lab(cancelled=stop.is_set)
    lab.recall(in_parts, 2, lab)
    stop.set()
    with pytest.raises(Cancelled):
        lab.span(0, 0.5).report(0.0, "Working")
    steps = len(ran)
    with pytest.raises(Cancelled):
        lab.recall(in_parts, 4, lab)
    assert not lab.knows(in_parts, 4, lab) and len(ran) == steps + 1
    stop.clear()
    assert lab.recall(in_parts, 4, lab) == [1, 2, 3, 4]


def test_an_encoding_is_made_when_it_is_looked_at():
    lab, model = Lab(), CountedModel()
    handle = lab.encoding(model, PICTURES[0])
    assert not model.calls
    assert handle.value is handle.value and len(model.calls) == 1
    assert lab.encoding(model, PICTURES[0]).value is handle.value and len(model.calls) == 1


def test_encodings_are_by_content_and_bounded_in_bytes():
    encodings, model = Memory(1000), CountedModel()
    lab = Lab(encodings)
    for _ in range(2):
        lab.encoding(model, PICTURES[0]).value  # noqa: B018 (a look makes it)
    assert len(model.calls) == 1
    for same in ({"side": 64}, {"window_sizes": (8, 4)}, {"window_sizes": [8, 4]}, {"fit": "native"}):
        assert lab.encoding(model, PICTURES[0], **same).value and len(model.calls) == 1, f"{same} are the default"
    assert lab.encoding(CountedModel(), PICTURES[0]).value and len(model.calls) == 1, "another model of the same file"
    assert lab.encoding(model, Picture(PICTURES[0].rgb, "b")).value and len(model.calls) == 1
    for other in ({"side": 128}, {"window_sizes": (4, 4)}, {"fit": "aspect"}, {"keep_blocks": True}):
        before = len(model.calls)
        assert lab.encoding(model, PICTURES[0], **other).value and len(model.calls) == before + 1
        assert encodings.state().used <= 1000 and encodings.state().entries <= 2
    another = CountedModel("y")
    assert lab.encoding(another, PICTURES[0]).value and len(another.calls) == 1


def test_an_encoding_that_is_too_large_to_keep_is_held_by_who_asked():
    lab, model = Lab(Memory(500)), CountedModel(nbytes=501)
    handle = lab.encoding(model, PICTURES[0])
    assert handle.value is handle.value and len(model.calls) == 1
    assert lab.encoding(model, PICTURES[0]).value is not handle.value and len(model.calls) == 2


def look(encoding):
    ran.append(("look",))
    return encoding.value.nbytes


def test_a_step_is_known_by_its_encoding_before_that_is_made():
    lab, model = Lab(Memory(0)), CountedModel()
    assert lab.recall(look, lab.encoding(model, PICTURES[0])) == 400
    assert lab.recall(look, lab.encoding(model, PICTURES[0], side=64)) == 400
    assert len(model.calls) == 1 and len(ran) == 1
    lab.recall(look, lab.encoding(model, PICTURES[1]))
    lab.recall(look, lab.encoding(model, PICTURES[0], side=128))
    assert len(model.calls) == 3 and len(ran) == 3


def tensors_of(value) -> list[torch.Tensor]:
    """Every tensor that can be reached from an encoding."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in tensors_of(part)]
    parts = [getattr(value, field.name) for field in fields(value)] if hasattr(value, "__dataclass_fields__") else []
    return [tensor for part in parts for tensor in tensors_of(part)]


def noise(seed: int) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8), str(seed))


def test_the_counted_bytes_are_those_of_every_tensor_kept():
    model, memory = samkit.load_model("nano-sam2", device="cpu"), Memory(2**40)
    lab = Lab(memory)
    encodings = [
        lab.encoding(model, noise(seed), side=side, keep_blocks=keep).value
        for seed, side, keep in ((0, None, False), (0, None, True), (1, 512, False))
    ]
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors_of(encodings)
    }
    assert memory.state().used == sum(storages.values()) > 2**20


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads /proc, where Linux says what a process has in memory"
)
def test_the_counted_bytes_are_what_the_process_grows_by():
    program = """
        import gc
        from pathlib import Path
        import numpy as np
        import samkit
        from samkit.media.pictures import Picture
        from samkit.work.lab import Lab
        from samkit.work.memory import Memory

        model, memory = samkit.load_model("nano-sam2", device="cpu"), Memory(2**40)
        lab, held = Lab(memory), []
        for seed in range(24):
            rgb = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            lab.encoding(model, Picture(rgb, str(seed)), keep_blocks=True).value
            if seed in (5, 23):
                gc.collect()
                held.append((int(Path("/proc/self/statm").read_text().split()[1]) * 4096, memory.state().used))
        print((held[1][0] - held[0][0]) / (held[1][1] - held[0][1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) < 1.25, "what the allocator leaves between tensors"


def test_two_threads_who_want_one_encoding_wait_for_it():
    model, lab, inside, let_go = CountedModel(), Lab(), threading.Event(), threading.Event()
    encode = model.encode_image

    def slow(rgb, **options):
        inside.set()
        assert let_go.wait(30)
        return encode(rgb, **options)

    model.encode_image = slow
    gained = []
    threads = [
        threading.Thread(target=lambda: gained.append(lab.encoding(model, load_sample("coffee")).value))
        for _ in range(3)
    ]
    threads[0].start()
    assert inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    let_go.set()
    for thread in threads:
        thread.join(30)
    assert len(model.calls) == 1 and len(gained) == 3 and len(set(map(id, gained))) == 1
