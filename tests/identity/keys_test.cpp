#include "identity/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "core/path.h"
#include "identity/peer_check.h"
#include "identity/sha256.h"
#include "identity/signature.h"
#include "support/temporary_folder.h"

namespace moesaic::identity {
namespace {

namespace fs = std::filesystem;
using moesaic::testing::expect_error;
using moesaic::testing::TemporaryFolder;

class KeysTest : public ::testing::Test {
 protected:
  KeyOptions options(const std::string& name, const std::vector<std::string>& silos) const {
    return {.folder = at(name), .coordinator = "127.0.0.1", .silos = silos};
  }
  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  void copy(const std::string& from, const std::string& to) const {
    fs::copy_file(at(from), at(to), fs::copy_options::overwrite_existing);
  }

  TemporaryFolder folder_;
};

TEST_F(KeysTest, AreMadeAndReadBack) {
  const auto written = make_keys(options("a", {"north", "south.1"}));
  EXPECT_EQ(written.size(), 3U);
  for (const char* name : {"coordinator", "north", "south.1"}) {
    const std::string folder = at("a/") + name;
    const Keys keys = read_keys(folder);
    EXPECT_EQ(keys.name, name);
    struct stat status {};
    ASSERT_EQ(::stat((folder + "/key.pem").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    EXPECT_EQ(keys.authority, read_keys(at("a/coordinator")).authority);
  }
  struct stat status {};
  ASSERT_EQ(::stat(at("a/ca/key.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(KeysTest, CalledAgainKeepsWhatIsGood) {
  make_keys(options("a", {"north"}));
  const Keys before = read_keys(at("a/north"));
  const auto written = make_keys(options("a", {"north", "south"}));
  EXPECT_EQ(written, std::vector<std::string>{at("a/south")});
  EXPECT_EQ(read_keys(at("a/north")).certificate, before.certificate);
  auto moved = options("a", {});
  moved.coordinator = "coordinator.example.org";
  EXPECT_EQ(make_keys(moved), std::vector<std::string>{at("a/coordinator")});
}

TEST_F(KeysTest, NamesAndHostsAreChecked) {
  for (const char* name : {"ca", "coordinator", "", ".x", "a/b", "a b"}) {
    EXPECT_THROW(make_keys(options("a", {name})), Error) << name;
  }
  auto bad = options("a", {"north"});
  bad.coordinator = "host,DNS:other";
  expect_error(ErrorKind::kUsage, "no host name", [&] { make_keys(bad); });
  folder_.file("other/file", "x");
  expect_error(ErrorKind::kUsage, "something else", [&] { make_keys(options("other", {"n"})); });
}

TEST_F(KeysTest, WhatCannotBeUsedIsRefusedWithTheReason) {
  make_keys(options("a", {"north", "south"}));
  make_keys(options("b", {"north"}));
  const auto refused = [&](const std::string& part) {
    expect_error(ErrorKind::kData, part, [&] { read_keys(at("a/north")); });
  };
  copy("a/south/key.pem", "a/north/key.pem");
  refused("'north': key.pem is not the key of this certificate");
  copy("b/north/key.pem", "a/north/key.pem");
  copy("b/north/certificate.pem", "a/north/certificate.pem");
  refused("'north': it is of another authority");
  ASSERT_EQ(::chmod(at("a/north/key.pem").c_str(), 0640), 0);
  refused("others may read key.pem");
  ASSERT_EQ(::chmod(at("a/north/key.pem").c_str(), 0600), 0);
  folder_.file("a/north/certificate.pem", "no PEM");
  refused("certificate.pem is no certificate");
  fs::remove(at("a/north/certificate.pem"));
  refused("there is no certificate.pem");
}

TEST_F(KeysTest, PastTheirTimeTheyAreRefusedAndMadeAnew) {
  auto short_lived = options("a", {"north"});
  short_lived.days = 0;
  make_keys(short_lived);
  expect_error(ErrorKind::kData, "'north': it is past its time", [&] { read_keys(at("a/north")); });
  EXPECT_EQ(make_keys(options("a", {"north"})).size(), 2U);
  EXPECT_EQ(read_keys(at("a/north")).name, "north");
}

TEST_F(KeysTest, RevokedOnesAreKnownAtOnce) {
  make_keys(options("a", {"north", "south"}));
  const Keys north = read_keys(at("a/north"));
  const PeerCheck check(at("a/coordinator"), north.authority);
  EXPECT_EQ(check.check(north.certificate).name, "north");
  fs::rename(at("a/north"), at("elsewhere"));  // the silo has its folder; the authority remembers
  revoke(at("a"), "north");
  revoke(at("a"), "north");
  expect_error(ErrorKind::kCommunication, "silo 'north' is revoked",
               [&] { check.check(north.certificate); });
  EXPECT_EQ(check.check(read_keys(at("a/south")).certificate).name, "south");
  make_keys(options("a", {"north"}));
  EXPECT_EQ(check.check(read_keys(at("a/north")).certificate).name, "north");
  EXPECT_THROW(check.check(north.certificate), Error);
  expect_error(ErrorKind::kUsage, "no certificate of a silo 'west'",
               [&] { revoke(at("a"), "west"); });
  EXPECT_THROW(revoke(at("a"), "coordinator"), Error);
}

TEST_F(KeysTest, AListThatIsGoneOrOfAnotherAuthorityLetsNobodyIn) {
  make_keys(options("a", {"north"}));
  make_keys(options("b", {"north"}));
  const Keys north = read_keys(at("a/north"));
  const PeerCheck check(at("a/coordinator"), north.authority);
  copy("b/coordinator/revoked.pem", "a/coordinator/revoked.pem");
  EXPECT_THROW(check.check(north.certificate), Error);
  fs::remove(at("a/coordinator/revoked.pem"));
  EXPECT_THROW(check.check(north.certificate), Error);
}

TEST_F(KeysTest, OnlyAnotherAuthorityAndTheCoordinatorAreNoPeers) {
  make_keys(options("a", {"north"}));
  make_keys(options("b", {"north"}));
  const PeerCheck check(at("a/coordinator"), read_keys(at("a/north")).authority);
  EXPECT_THROW(check.check(read_keys(at("b/north")).certificate), Error);
  EXPECT_THROW(check.check(read_keys(at("a/coordinator")).certificate), Error);
  EXPECT_THROW(check.check(""), Error);
}

TEST_F(KeysTest, ASignatureIsOfOneTextAndOneKey) {
  make_keys(options("a", {"north", "south"}));
  const Keys north = read_keys(at("a/north"));
  const std::string signature = sign(north, "round 3");
  EXPECT_TRUE(is_signed(north.certificate, "round 3", signature));
  EXPECT_FALSE(is_signed(north.certificate, "round 4", signature));
  EXPECT_FALSE(is_signed(read_keys(at("a/south")).certificate, "round 3", signature));
  EXPECT_FALSE(is_signed(north.certificate, "round 3", ""));
  EXPECT_FALSE(is_signed("", "round 3", signature));
}

// FIPS 180-4's example, and a file in two pieces.
TEST_F(KeysTest, Sha256) {
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string path = folder_.file("f", "abcdef");
  Sha256 hash;
  EXPECT_EQ(hash.update_from(path, 3), 3U);
  EXPECT_EQ(hash.hex(), sha256_of("abc"));
  Sha256 whole;
  EXPECT_EQ(whole.update_from(path, 100), 6U);
  EXPECT_EQ(whole.hex(), sha256_of("abcdef"));
}

}  // namespace
}  // namespace moesaic::identity
