// Two connected ends of a local socket.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <utility>

namespace moesaic::testing {

inline std::pair<int, int> socket_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {ends[0], ends[1]};
}

}  // namespace moesaic::testing
