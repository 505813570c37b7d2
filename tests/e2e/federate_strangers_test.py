"""Who is not let into a federation across sites, and what cannot begin: each ends with a clear message and its exit code."""
import shutil
import socket
import ssl
import subprocess
import unittest

from sites import SILO, SitesTest

AUTHORITY = """
[ca]
default_ca = here
[here]
database = {folder}/issued.txt
new_certs_dir = {folder}
rand_serial = yes
certificate = {keys}/ca/ca.pem
private_key = {keys}/ca/key.pem
default_md = sha256
policy = names
x509_extensions = client
[names]
commonName = supplied
[client]
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
"""


@unittest.skipUnless(shutil.which("openssl"), "no program openssl")
class FederateStrangers(SitesTest):
    def with_times(self, folder, begins, ends):
        """The keys of silo letters in another folder, their certificate signed anew by the same authority for a time."""
        keys = self.folder / "keys"
        shutil.copytree(keys / "letters", self.folder / folder)
        (self.folder / "authority.cnf").write_text(AUTHORITY.format(folder=self.folder, keys=keys))
        (self.folder / "issued.txt").write_text("")
        for words in (["req", "-new", "-key", f"{folder}/key.pem", "-subj", "/CN=letters", "-out", "request.pem"],
                      ["ca", "-config", "authority.cnf", "-batch", "-notext", "-in", "request.pem", "-out", f"{folder}/certificate.pem",
                       "-startdate", begins, "-enddate", ends]):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def is_let_in(self, keys=None):
        """Whether the coordinator speaks to a client that shows the certificate of a folder, or none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.folder / "keys/letters/ca.pem")
        context.set_alpn_protocols(["h2"])
        if keys:
            context.load_cert_chain(self.folder / keys / "certificate.pem", self.folder / keys / "key.pem")
        host, port = self.address.split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=10) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
                tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                return bool(tls.recv(1))
        except OSError:
            return False

    def test_only_silos_of_this_federation_are_let_in(self):
        self.keys(silos=("letters", "digits", "stranger"))
        self.keys("foreign")
        self.with_times("old", "20200101000000Z", "20210101000000Z")
        self.with_times("early", "20990101000000Z", "20991231000000Z")
        shutil.copytree(self.folder / "keys/letters", self.folder / "open")
        (self.folder / "open/key.pem").chmod(0o644)
        (self.folder / "stranger.yaml").write_text(SILO.format(folder=self.folder, name="stranger", train="train-b", valid="valid"))
        coordinator = self.coordinator("federated.deadline_s=600")
        self.wait_until(lambda: self.is_let_in("keys/letters"), 60, "a coordinator that listens")
        for keys in (None, "foreign/letters", "old", "early", "keys/coordinator"):
            self.assertFalse(self.is_let_in(keys), keys)

        self.moesaic("federate", "revoke", self.folder / "keys", "--silo", "digits")
        elsewhere = "localhost:" + self.address.split(":")[1]
        for name, options, code, words in (
                ("letters", {"keys": "foreign/letters"}, 6, "its certificate is not accepted"),
                ("letters", {"keys": "old"}, 4, "it is past its time"),
                ("letters", {"keys": "early"}, 4, "its time has not begun: is the clock of this machine right?"),
                ("letters", {"keys": "open"}, 4, "others may read key.pem"),
                ("letters", {"keys": "keys/coordinator"}, 4, "the coordinator's, not a silo's"),
                ("letters", {"keys": "keys/digits"}, 3, "the recipe is of silo letters, and the certificate of silo digits"),
                ("digits", {}, 6, "certificate of silo 'digits' is revoked"),
                ("letters", {"address": elsewhere}, 6, "hostname mismatch"),
                ("stranger", {}, 3, "silo stranger is none of this federation")):
            with self.subTest(words):
                self.assertIn(words, self.end_of(self.silo(name, **options), expect=code))
        self.assertIsNone(coordinator.poll())

    def test_a_coordinator_that_cannot_begin_says_why(self):
        self.keys()
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.assertIn(f"cannot listen on {self.address}", self.end_of(self.coordinator(), expect=2))
        port = self.address.split(":")[1]
        for self.address in ("127.0.0.1:65536", f":{port}", port):
            self.assertIn(f"'{self.address}' is no address: HOST:PORT, up to port 65535", self.end_of(self.coordinator(), expect=2))
        self.address = "127.0.0.1:99999"
        self.assertIn("'127.0.0.1:99999' is no address", self.end_of(self.silo("digits"), expect=2))
        self.address = "127.0.0.1:0"
        coordinator = self.coordinator("federated.deadline_s=0.5")
        self.assertRegex(self.end_of(coordinator, expect=6), r"listening at 127\.0\.0\.1:[1-9]\d+\n")
        self.assertIn("federated.quorum", self.end_of(self.coordinator("federated.quorum=3"), expect=3))
        text = self.end_of(self.coordinator("federated.aggregator={type: krum}"), expect=3)
        self.assertIn("krum with f 1 needs 5 silos in a round, 2 f + 3; there are 2", text)

    def test_a_silo_without_data_is_named(self):
        self.keys()
        own = self.folder / "digits.yaml"
        whole = own.read_text()
        own.write_text("name: digits\ndata: {train: []}\n")
        self.assertIn("data.train", self.end_of(self.silo("digits"), expect=3))
        own.write_text(whole)
        (self.folder / "text/digits.txt").unlink()
        coordinator = self.coordinator("federated.quorum=1")
        self.silo("letters")
        self.assertIn("digits.txt", self.end_of(self.silo("digits"), expect=4))
        text = self.end_of(coordinator, expect=6)
        self.assertIn("round 1: ", text)
        self.assertRegex(text, r"of 2 silos have answered and 2 are needed: .*digits has left \(data\)")


if __name__ == "__main__":
    unittest.main()
