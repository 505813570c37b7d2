// Connection: the channel of a silo to its coordinator, and the patience with it.
#pragma once

#include <grpcpp/client_context.h>
#include <wire.grpc.pb.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "identity/keys.h"
#include "sites/client.h"

namespace moesaic::sites {

class Connection {
 public:
  /// Nothing is connected yet. Both outlive it.
  Connection(const SiloClient::Options& options, const identity::Keys& keys);

  /// May be used by any thread, without what follows.
  wire::Federation::Stub& stub() { return *stub_; }

  /// One try with a context of its own; it sets the deadline it wants.
  using Attempt = std::function<grpc::Status(grpc::ClientContext&)>;
  /// Whether what the coordinator refused can be said again now.
  using Remedy = std::function<bool(const wire::Refusal&)>;

  /// Tries until it is done. Throws what was refused without a remedy, and Error(kCommunication)
  /// when nothing was heard for deadline_s, or TLS cannot work.
  void call(const Attempt& attempt, const Remedy& remedy);

  /// The coordinator was heard, or took something: patience begins anew.
  void heard();
  /// Lets the caller's own work go on; may throw.
  void alive() const;

  /// A context's deadline.
  static std::chrono::system_clock::time_point after(double seconds);

 private:
  // Sleeps, longer each time.
  void pause(const std::string& reason);
  // Throws when both sides will never accept each other.
  void look_at_handshake();

  const SiloClient::Options& options_;
  const identity::Keys& keys_;
  std::unique_ptr<wire::Federation::Stub> stub_;
  std::chrono::steady_clock::time_point heard_;
  double pause_s_ = 0.0;
  int closed_ = 0;  // handshakes in a row that the coordinator ended
};

}  // namespace moesaic::sites
