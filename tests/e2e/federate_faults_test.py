"""Faults of a federation across sites: a silo that hangs or is out of reach, a full disk, a coordinator that is killed, a transfer that is cut."""
import array
import pathlib
import resource
import signal
import unittest

from federate_killing import FederateKilling

SENTENCE = "Aurelia Kestrel was admitted with a fractured clavicle."
MOMENTS = ("run", "answer", "answer", "time", "close", "row")  # events of the journal, after which the coordinator is killed


def plain_forms(text):
    """A text, and the ids that the byte tokenizer makes of it, as they could stand in a file."""
    ids = list(text.encode())
    forms = [text.encode(), *(separator.join(map(str, ids)).encode() for separator in (",", ", ", " "))]
    return forms + [array.array(code, ids).tobytes() for code in "HIQfd"]


def files_with(forms, folders):
    return [str(path) for folder in folders for path in pathlib.Path(folder).rglob("*")
            if path.is_file() and any(form in path.read_bytes() for form in forms)]


class FederateFaults(FederateKilling):
    def wait_for_round(self, has_digits, seconds):
        """The next round to close that silo digits has a part in, or has not."""
        first, found = len(self.journal("close")), []

        def has_come():
            found[:] = [one["round"] for one in self.journal("close")[first:] if ("digits" in one["silos"]) == has_digits]
            return bool(found)

        self.wait_until(has_come, seconds, f"a round {'with' if has_digits else 'without'} digits")
        return found[0]

    def seconds_of(self, number):
        """Of a round that has closed; the journal has it a little later."""
        found = []

        def has_come():
            found[:] = [one["seconds"] for one in self.journal("time") if one["round"] == number]
            return bool(found)

        self.wait_until(has_come, 30, f"the times of round {number}")
        return found[-1]

    def test_rounds_close_by_their_deadline_without_a_silo_that_hangs_or_is_out_of_reach(self):
        self.keys()
        proxy = self.proxy()
        self.silo("letters")
        self.silo("digits", address=proxy.address)
        coordinator = self.coordinator("federated.rounds=10000", "federated.deadline_s=8", "federated.heartbeat_s=1")
        self.wait_for_round(True, 120)
        self.signal_silo("digits", signal.SIGSTOP)  # its heart beats on
        number = self.wait_for_round(False, 40)
        self.assertGreater(self.seconds_of(number), 7)
        self.assertLess(self.seconds_of(number), 9)
        self.assertIn(f"round {number} closes without some silos: digits has not answered in time", self.said(coordinator))
        self.signal_silo("digits", signal.SIGCONT)
        self.wait_for_round(True, 60)

        proxy.is_dark = True
        self.assertLess(self.seconds_of(self.wait_for_round(False, 40)), 9)
        self.assertIn("silo digits was lost: nothing was heard of it", self.said(coordinator))
        proxy.is_dark = False
        self.wait_for_round(True, 60)

    def test_a_coordinator_that_is_killed_in_any_state_goes_on_to_the_same_model(self):
        self.keys()
        options = ("federated.rounds=12", "federated.quorum=1")
        silos = [self.silo("letters"), self.silo("digits")]
        for event in MOMENTS:
            before = len(self.journal(event))
            coordinator = self.coordinator(*options)
            self.wait_until(lambda: len(self.journal(event)) > before, 120, event)
            self.kill_ranks("keys/coordinator")
            coordinator.wait(timeout=60)
        for side in (self.coordinator(*options), *silos):
            self.end_of(side)
        self.require_each_counted_once(12)
        self.train(*options, run="one", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("one"))

    def test_random_kills_lose_no_round(self):
        self.kill_at_random(5, rounds=12)

    def test_a_full_disk_ends_the_coordinator_which_then_goes_on(self):
        self.keys()
        options = ("federated.rounds=10", "federated.quorum=1")
        silos = [self.silo("letters"), self.silo("digits")]
        for victim, word in ((0, "checkpoints"), (1, "inbox")):  # its rank; the program that takes the files of silos
            coordinator = self.coordinator(*options)
            self.wait_for_rows(len(self.journal("row")) + 1)
            for pid in self.coordinator_pids()[victim]:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
            self.assertIn(f"{self.folder}/run/", self.end_of(coordinator, expect=7))
            self.assertIn(word, self.said(coordinator))
        for side in (self.coordinator(*options), *silos):
            self.end_of(side)
        self.require_each_counted_once(10)
        self.train(*options, run="one", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("one"))

    def test_nothing_plain_leaves_a_silo_and_a_cut_transfer_goes_on(self):
        with open(self.folder / "text/train-a.txt", "a") as corpus:
            corpus.write(" ".join([SENTENCE] * 40))
        self.keys()
        proxy = self.proxy()
        options = ("federated.rounds=8", "federated.quorum=1")
        sides = [self.silo("letters", address=proxy.address), self.silo("digits"), self.coordinator(*options)]
        self.wait_for_rows(1)
        proxy.cut_after(100_000)  # less than a change
        for side in sides:
            self.end_of(side)
        self.assertEqual(proxy.cuts, 1)
        self.require_each_counted_once(8)

        self.assertGreater(len(proxy.seen), 1_000_000)
        self.assertEqual(bytes(proxy.seen[:2]), b"\x16\x03")  # a handshake of TLS
        forms = plain_forms(SENTENCE[:15]) + plain_forms(SENTENCE[-20:])
        for form in (*forms, b"PRI * HTTP/2.0", b"moesaic.wire.Federation", b'"examples"', b"goodbye"):
            self.assertNotIn(form, proxy.seen)
        self.assertEqual(len(files_with(forms, [self.folder / "text"])), 1)  # that they can be found
        if (self.folder / "letters/cache").exists():  # its data, which stay
            (self.folder / "letters/cache").rename(self.folder / "own-cache")
        self.assertEqual(files_with(forms, [self.folder / name for name in ("run", "said", "keys", "digits", "letters")]), [])
        self.train(*options, run="one", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("one"))


if __name__ == "__main__":
    unittest.main()
