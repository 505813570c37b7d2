// Calls: what a silo's process says to the coordinator as a member of its run, and joining.
#pragma once

#include <grpcpp/client_context.h>
#include <wire.grpc.pb.h>

#include <functional>
#include <mutex>

#include "identity/keys.h"
#include "sites/client.h"
#include "sites/connection.h"
#include "sites/heartbeat.h"
#include "sites/membership.h"

namespace moesaic::sites {

class Calls {
 public:
  /// Both outlive it.
  Calls(const SiloClient::Options& options, const identity::Keys& keys);

  Connection& connection() { return connection_; }
  Membership& member() { return member_; }

  /// Joins as a new process. The calls throw as those of SiloClient.
  wire::Note join(const wire::Note& join);

  /// One call until it is done; joins again by itself. `remedy`: what else was refused.
  using Attempt = std::function<grpc::Status(grpc::ClientContext&, const wire::Caller&)>;
  void call(const Attempt& attempt, const Connection::Remedy& remedy = {});

  /// Says a message and returns the answer.
  wire::Note say(const wire::Note& note, const Connection::Remedy& remedy);

  /// For the thread of the heart: tells the coordinator that this process is here, and joins again
  /// where that is needed. What fails here fails again where it can be told: in a call.
  void beat(Heartbeat& heart);

 private:
  wire::Letter letter(const wire::Caller& caller, const wire::Note& note) const;
  // One try, `alive` meanwhile.
  grpc::Status say_once(grpc::ClientContext& context, const wire::Letter& letter,
                        wire::Answer& answer);
  wire::Note say_join();
  void join_again(const std::string& instance);

  const SiloClient::Options& options_;
  const identity::Keys& keys_;
  Connection connection_;
  Membership member_;
  std::mutex joining_;
  wire::Note join_;  // with the lock
};

}  // namespace moesaic::sites
