// Both ends of the wire on the loopback.
#include <gtest/gtest.h>

#include <limits>

#include "core/path.h"
#include "identity/signature.h"
#include "sites/grpc_setup.h"
#include "sites/site_fixture.h"
#include "support/cut_proxy.h"

namespace moesaic::sites {
namespace {

using moesaic::testing::CutProxy;
using moesaic::testing::expect_error;

constexpr std::size_t kMiB = 1U << 20;

Message change_with(const Blob& blob, std::int64_t round = 1) {
  return Change{.round = round, .blob = blob, .notes = {{"examples", 7}}}.message();
}

TEST_F(SiteTest, ASiloJoinsGetsOrdersAndSaysGoodbye) {
  const auto coordinator = this->coordinator();
  CoordinatorServer& server = coordinator->server();
  SiloClient north(silo_options(server.port()));
  EXPECT_EQ(north.silo(), "north");
  server.order("north", {.kind = "early"});
  EXPECT_EQ(north.join({.version = "1"}).kind, "join");
  EXPECT_EQ(north.run(), "run-1");
  EXPECT_EQ(north.wait(5)->kind, "early");
  EXPECT_FALSE(north.wait(0).has_value());
  EXPECT_FALSE(north.has_order());

  north.report({{"step", 3}});
  EXPECT_TRUE(soon([&] {
    const auto silos = server.silos();
    return silos.size() == 1 && silos[0].progress == Json({{"step", 3}});
  }));
  server.order("north", {.kind = "replaced", .round = 1});
  server.order("north", {.kind = "offer", .round = 2});
  EXPECT_TRUE(soon([&] { return north.has_order(); }));
  const auto order = north.wait(5);
  EXPECT_EQ(order->kind, "offer");
  EXPECT_EQ(order->round, 2);
  EXPECT_FALSE(north.has_order());

  EXPECT_EQ(north.send({.kind = std::string(kGoodbyeKind)}).kind, "goodbye");
  EXPECT_TRUE(server.silos().empty());
}

TEST_F(SiteTest, FilesGoBothWays) {
  const auto coordinator = this->coordinator();
  SiloClient north(silo_options(coordinator->server().port()));
  north.join({});
  const std::string model = content(3 * kMiB + 5);
  const Blob offered = coordinator->server().publish(folder_.file("model", model));
  north.fetch(offered, at("fetched"));
  EXPECT_EQ(read_file(at("fetched")), model);
  coordinator->server().withdraw(offered);
  expect_error(ErrorKind::kData, "offers no file", [&] { north.fetch(offered, at("again")); });

  const std::string change = content(2 * kMiB);
  const std::string path = folder_.file("change", change);
  EXPECT_EQ(north.send(change_with(blob_of(path)), path).kind, "change");
  EXPECT_EQ(kept_, change);
  const auto silos = coordinator->server().silos();
  ASSERT_EQ(silos.size(), 1U);
  EXPECT_EQ(silos[0].bytes_in, change.size());
  EXPECT_EQ(silos[0].bytes_out, model.size());
  EXPECT_TRUE(names_in(at("inbox/north")).empty());  // what was not moved away is gone
}

TEST_F(SiteTest, TheSameChangeIsCountedOnce) {
  const auto coordinator = this->coordinator();
  const std::string path = folder_.file("change", content(100));
  const Message change = change_with(blob_of(path));
  SiloClient north(silo_options(coordinator->server().port()));
  north.join({});
  north.send(change, path);
  north.send(change, path);
  SiloClient returned(silo_options(coordinator->server().port()));  // a new process of the silo
  returned.join({});
  EXPECT_EQ(returned.send(change, path).kind, "change");
  EXPECT_EQ(coordinator->count("change"), 1);
  EXPECT_EQ(coordinator->count("join"), 2);
  returned.send(change_with(blob_of(path), 2), path);  // another round: another change
  EXPECT_EQ(coordinator->count("change"), 2);
  expect_error(ErrorKind::kCommunication, "another process", [&] { north.wait(0); });
}

TEST_F(SiteTest, ARefusalReachesTheSilo) {
  TestCoordinator coordinator(server_options(), [](Request& request) {
    if (request.message().kind == kJoinKind) return request.answer();
    request.refuse(Error(ErrorKind::kRecipe, "round 3 is over", "wait for the next"));
  });
  SiloClient north(silo_options(coordinator.server().port()));
  north.join({});
  for (int i = 0; i < 2; ++i) {
    expect_error(ErrorKind::kRecipe, "round 3 is over",
                 [&] { north.send({.kind = "note", .round = 3}); });
  }
  EXPECT_EQ(coordinator.count("note"), 2);
}

TEST_F(SiteTest, ACutUploadGoesOnWhereItWas) {
  const auto coordinator = this->coordinator();
  CutProxy proxy(coordinator->server().port());
  SiloClient north(silo_options(proxy.port()));
  north.join({});
  const std::string change = content(6 * kMiB);
  const std::string path = folder_.file("change", change);
  proxy.cut_up_after(3 * kMiB + kMiB / 2);
  north.send(change_with(blob_of(path)), path);
  EXPECT_EQ(proxy.cuts(), 1);
  EXPECT_EQ(kept_, change);
  EXPECT_EQ(coordinator->count("change"), 1);
  EXPECT_EQ(coordinator->server().silos()[0].bytes_in, change.size());  // nothing came twice
  EXPECT_EQ(proxy.seen().find(marker()), std::string::npos);            // and nothing in the clear
}

TEST_F(SiteTest, ACutDownloadGoesOnWhereItWas) {
  const auto coordinator = this->coordinator();
  CutProxy proxy(coordinator->server().port());
  SiloClient north(silo_options(proxy.port()));
  north.join({});
  const std::string model = content(6 * kMiB);
  const Blob blob = coordinator->server().publish(folder_.file("model", model));
  proxy.cut_down_after(3 * kMiB + kMiB / 2);
  north.fetch(blob, at("fetched"));
  EXPECT_EQ(proxy.cuts(), 1);
  EXPECT_EQ(read_file(at("fetched")), model);
  EXPECT_EQ(proxy.seen().find(marker()), std::string::npos);
}

TEST_F(SiteTest, TooLargeAFileIsRefusedBeforeItIsSent) {
  auto options = server_options();
  options.most_blob_bytes = 50;
  TestCoordinator coordinator(options, [](Request& request) { request.answer(); });
  SiloClient north(silo_options(coordinator.server().port()));
  north.join({});
  const std::string path = folder_.file("change", content(51));
  expect_error(ErrorKind::kData, "a file of 51 bytes is announced, 1 to 50 are allowed",
               [&] { north.send(change_with(blob_of(path)), path); });
  EXPECT_EQ(coordinator.server().silos()[0].bytes_in, 0U);
  auto small = silo_options(coordinator.server().port());
  small.most_blob_bytes = 50;
  SiloClient careful(small);
  careful.join({});
  const Blob model = coordinator.server().publish(path);
  EXPECT_THROW(careful.fetch(model, at("fetched")), Error);
}

TEST_F(SiteTest, AFileThatChangesWhileItIsSentIsNoChange) {
  const auto coordinator = this->coordinator();
  SiloClient north(silo_options(coordinator->server().port()));
  north.join({});
  const std::string path = folder_.file("change", "before");
  const Message change = change_with(blob_of(path));
  folder_.file("change", "after!");
  expect_error(ErrorKind::kData, "another digest", [&] { north.send(change, path); });
  EXPECT_EQ(coordinator->count("change"), 0);
}

// The silo waits for a coordinator that can write again.
TEST_F(SiteTest, ADiskThatTakesNothingEndsTheCoordinatorAndNotTheSilo) {
  auto coordinator = this->coordinator();
  auto options = server_options();
  options.listen = "127.0.0.1:" + std::to_string(coordinator->server().port());
  const std::string path = folder_.file("change", content(100));
  folder_.file("inbox/north", "a file in the way of its folder");
  SiloClient north(silo_options(coordinator->server().port()));
  north.join({});
  std::thread later([&] {
    EXPECT_TRUE(soon([&] { return !coordinator->failure().empty(); }));
    EXPECT_NE(coordinator->failure().find("inbox/north"), std::string::npos);
    coordinator.reset();
    remove_tree(at("inbox/north"));
    coordinator = std::make_unique<TestCoordinator>(options, [](Request& r) { r.answer(); });
  });
  EXPECT_EQ(north.send(change_with(blob_of(path)), path).kind, "ok");
  later.join();
  EXPECT_EQ(coordinator->count("change"), 1);
}

TEST_F(SiteTest, ASiloGoesOnWithACoordinatorThatBeganAnew) {
  auto options = server_options();
  auto first = std::make_unique<TestCoordinator>(options, [](Request& r) { r.answer(); });
  SiloClient north(silo_options(first->server().port()));
  north.join({.version = "7"});
  first->server().order("north", {.kind = "offer", .round = 1});
  EXPECT_EQ(north.wait(5)->round, 1);
  options.listen = "127.0.0.1:" + std::to_string(first->server().port());
  first.reset();
  TestCoordinator second(options, [](Request& r) { r.answer(); });
  second.server().order("north", {.kind = "offer", .round = 2});
  EXPECT_EQ(north.send({.kind = "note", .round = 1}).kind, "ok");
  EXPECT_EQ(second.count("join"), 1);
  EXPECT_EQ(north.wait(5)->round, 2);
}

TEST_F(SiteTest, ACoordinatorThatStaysAwayIsAnErrorAfterTheDeadline) {
  auto coordinator = this->coordinator();
  auto options = silo_options(coordinator->server().port());
  options.deadline_s = 0.5;
  SiloClient north(options);
  north.join({});
  coordinator.reset();
  expect_error(ErrorKind::kCommunication, "has not been heard for", [&] { north.wait(5); });
}

TEST_F(SiteTest, ACallEndsWhenItsOwnerWantsIt) {
  const auto coordinator = this->coordinator();
  const int port = coordinator->server().port();
  bool stop = false;
  auto options = silo_options(port);
  options.alive = [&] {
    if (stop) throw Error(ErrorKind::kUsage, "asked to stop");
  };
  SiloClient north(options);
  north.join({});
  stop = true;
  expect_error(ErrorKind::kUsage, "asked to stop", [&] { north.wait(1000); });
}

// A recipe may say times that no number of milliseconds holds.
TEST(KeepAlive, TimesOfDecadesAreNever) {
  const KeepAlive alive(1e9, 1e9), short_one(1e-6, 0.5);
  EXPECT_EQ(alive.time_ms, std::numeric_limits<int>::max());
  EXPECT_EQ(alive.timeout_ms, std::numeric_limits<int>::max());
  EXPECT_EQ(short_one.time_ms, 1);
  EXPECT_EQ(short_one.timeout_ms, 500);
}

TEST_F(SiteTest, APortIsOneCoordinators) {
  const auto coordinator = this->coordinator();
  auto options = server_options();
  options.listen = "127.0.0.1:" + std::to_string(coordinator->server().port());
  options.inbox = at("inbox2");
  expect_error(ErrorKind::kUsage,
               "cannot listen on 127.0.0.1:", [&] { CoordinatorServer second(options); });
  options.listen = "nonsense";
  EXPECT_THROW(CoordinatorServer third(options), Error);
}

}  // namespace
}  // namespace moesaic::sites
