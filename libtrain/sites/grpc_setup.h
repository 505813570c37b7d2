// What both ends ask of gRPC.
#pragma once

namespace moesaic::sites {

/// Times of gRPC's own watch over a connection.
struct KeepAlive {
  int time_ms;     // without traffic, until it asks whether the other end is there
  int timeout_ms;  // until it gives that up

  KeepAlive(double heartbeat_s, double stall_s)
      : time_ms(static_cast<int>(heartbeat_s * 1000)),
        timeout_ms(static_cast<int>(stall_s * 1000)) {}
};

/// gRPC prints to stderr about every connection that fails, unless GRPC_VERBOSITY is set: what
/// failed is told by our errors.
void silence_grpc();

}  // namespace moesaic::sites
