// Takes some ten seconds and 7 GB of disk: run as slow.sites.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "sites/site_fixture.h"
#include "support/cut_proxy.h"

namespace moesaic::sites {
namespace {

constexpr std::uint64_t kLarge = (std::uint64_t{1} << 31) + (100U << 20) + 7;

long largest_memory_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Both ways, cut once each, in a memory that does not grow with the file.
TEST_F(SiteTest, DISABLED_MoreThanTwoGigabytes) {
  const std::string path = folder_.file("large", "begin");
  std::filesystem::resize_file(path, kLarge);
  append_file(path, "the end");
  const Blob blob = blob_of(path);
  ASSERT_EQ(blob.bytes, kLarge + 7);

  auto options = server_options();
  options.most_blob_bytes = 2 * kLarge;
  options.stall_s = 60;
  Blob arrived;
  TestCoordinator coordinator(options, [&](Request& request) {
    if (!request.file().empty()) arrived = blob_of(request.file());
    request.answer();
  });
  moesaic::testing::CutProxy proxy(coordinator.server().port(), /*keep=*/false);
  auto silo = silo_options(proxy.port());
  silo.stall_s = 60;
  SiloClient north(silo);
  north.join({});
  const long before = largest_memory_kib();
  proxy.cut_up_after(std::int64_t{1} << 30);
  north.send(Change{.round = 1, .blob = blob}.message(), path);
  EXPECT_EQ(arrived, blob);
  coordinator.server().publish(path, blob);
  proxy.cut_down_after(std::int64_t{1} << 30);
  north.fetch(blob, at("fetched"));
  EXPECT_EQ(blob_of(at("fetched")), blob);
  EXPECT_EQ(proxy.cuts(), 2);
  EXPECT_LT(largest_memory_kib() - before, 256 << 10);
}

}  // namespace
}  // namespace moesaic::sites
