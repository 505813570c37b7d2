// How the two ends of the wire are set up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace moesaic::sites {

/// Of the coordinator's end.
struct ListenOptions {
  std::string listen = "0.0.0.0:8443";  // HOST:PORT; port 0 = any free one
  std::string keys;                     // folder DIR/coordinator of `federate keys`
  std::string run;                      // what messages are bound to: 1 to 128 plain characters
  std::string inbox;                    // folder for files under way and complete
  std::uint64_t most_blob_bytes = 0;    // of one file of a silo; each has at most two at a time
  double heartbeat_s = 10.0;
  double stall_s = 60.0;  // a transfer in which nothing moves for so long is cut
};

/// Of a silo's end.
struct ConnectOptions {
  std::string connect;  // HOST:PORT; HOST as the coordinator's certificate has it
  std::string keys;     // folder DIR/<silo> of `federate keys`
  std::uint64_t most_blob_bytes = std::uint64_t{1} << 42;  // of one file of the coordinator
  double heartbeat_s = 10.0;
  double stall_s = 60.0;      // a call or transfer in which nothing moves for so long is begun anew
  double deadline_s = 600.0;  // for so long the coordinator may be away
  std::function<void()> alive;  // called every half second and between pieces; may throw
};

}  // namespace moesaic::sites
