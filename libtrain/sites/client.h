// SiloClient: a silo's end of the wire. It connects to the coordinator, never the other way round.
// Every call goes on by itself after a cut, with growing pauses, until `deadline_s` have passed
// without success. Used by one thread; a thread of its own keeps the heart beating meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "protocol/messages.h"
#include "protocol/site_options.h"

namespace moesaic::sites {

class SiloClient {
 public:
  using Options = ConnectOptions;

  /// Reads the keys; nothing is connected yet. Error(kData) for keys that cannot be used.
  explicit SiloClient(const Options& options);
  ~SiloClient();
  SiloClient(const SiloClient&) = delete;
  SiloClient& operator=(const SiloClient&) = delete;

  /// The name in the certificate.
  const std::string& silo() const;
  /// The coordinator's run; "" before join().
  std::string run() const;

  // The calls below throw what the coordinator refused with; Error(kCommunication) when it stays
  // away for deadline_s, and at once, with the reason, when one side does not accept the other's
  // certificate or another process joined with this one.

  /// The first call; its answer is the coordinator's. Said again by itself to a coordinator that
  /// began anew.
  Message join(const Join& join);

  /// The coordinator's newest order, if wait() did not return it yet, after at most `seconds`. One
  /// that began anew gives its order, perhaps the same, again.
  std::optional<Message> wait(double seconds);

  /// Whether there is an order that wait() did not return: a look for the one who trains. As old as
  /// the last heartbeat; no call.
  bool has_order() const;

  /// Sends a message and returns its answer. A message with a blob comes with the file that has it:
  /// what the coordinator lacks of it is sent first. Sending the same again is harmless.
  Message send(const Message& message, const std::string& file = "");

  /// Fetches a file to `path`, which appears when it is whole and of the right digest; what an
  /// earlier call got of it, in `path`.part, is not fetched again.
  void fetch(const Blob& blob, const std::string& path);

  /// Goes with the heartbeats from now on: public numbers only. At most kBodyBytes.
  void report(const Json& progress);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace moesaic::sites
