// What both ends ask of gRPC.
#pragma once

#include <algorithm>
#include <climits>

namespace moesaic::sites {

/// Times of gRPC's own watch over a connection.
struct KeepAlive {
  int time_ms;     // without traffic, until it asks whether the other end is there
  int timeout_ms;  // until it gives that up

  KeepAlive(double heartbeat_s, double stall_s)
      : time_ms(milliseconds(heartbeat_s)), timeout_ms(milliseconds(stall_s)) {}

 private:
  // The largest number is never to gRPC.
  static int milliseconds(double seconds) {
    return static_cast<int>(std::clamp<double>(seconds * 1000, 1, INT_MAX));
  }
};

/// gRPC prints to stderr about every connection that fails, unless GRPC_VERBOSITY is set: what
/// failed is told by our errors.
void silence_grpc();

}  // namespace moesaic::sites
