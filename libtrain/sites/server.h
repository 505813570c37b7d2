// CoordinatorServer: the coordinator's end of the wire, gRPC with mutual TLS. Silos connect, nobody
// connects to a silo. Its threads only receive: whoever has the server takes one request after the
// other with next(), so a coordinator needs no lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "protocol/messages.h"
#include "protocol/site_options.h"

namespace moesaic::sites {

struct PendingAnswer;  // of requests.h

/// One message of a silo, to be answered or refused. One that is let go without either is
/// forgotten, and the silo says it again. It does not outlive its server.
class Request {
 public:
  Request(std::string silo, Message message, std::string file,
          std::shared_ptr<PendingAnswer> pending);
  Request(Request&&) noexcept = default;
  Request& operator=(Request&&) noexcept;
  ~Request();

  const std::string& silo() const { return silo_; }  // the name in its certificate
  const Message& message() const { return message_; }
  /// Where the message's file lies, "" without one: whole and of the right digest. Move it away to
  /// keep it; what is still there after the answer is removed.
  const std::string& file() const { return file_; }

  void answer(const Message& reply = {.kind = "ok"});
  /// The silo's call throws this error, with kind, message and hint.
  void refuse(const Error& error);

 private:
  std::string silo_;
  Message message_;
  std::string file_;
  std::shared_ptr<PendingAnswer> pending_;
};

class CoordinatorServer {
 public:
  using Options = ListenOptions;

  /// Listens once it returns. Error(kUsage) when the address is taken, Error(kData) for keys that
  /// cannot be used.
  explicit CoordinatorServer(const Options& options);
  /// Cuts every call short.
  ~CoordinatorServer();
  CoordinatorServer(const CoordinatorServer&) = delete;
  CoordinatorServer& operator=(const CoordinatorServer&) = delete;

  int port() const;

  /// The next message, after at most `wait_s` seconds; nothing when none came. The first of a silo
  /// is its "join": answered, it has joined; refused, it has not. Of messages that are the same
  /// (silo, kind, round, body and file) only the first comes out, the others get its answer. A silo
  /// that joins again, after its end or this program's, comes out again. One whose "goodbye" is
  /// answered has left. Error(kCheckpoint) once a file of a silo could not be written.
  std::optional<Request> next(double wait_s);

  /// From now on the order of this silo, in place of an earlier one: a silo that was away gets the
  /// newest only. A silo that has not joined yet gets it when it has.
  void order(const std::string& silo, const Message& order);

  /// Lets every silo that joined fetch this file, which stays as it is until withdraw(). It is read
  /// once for its digest, unless the caller knows that.
  Blob publish(const std::string& path);
  void publish(const std::string& path, const Blob& known);
  void withdraw(const Blob& blob);

  /// Of those that joined since this server began and did not say goodbye, sorted by name. When all
  /// have, or at the end of its patience, a coordinator may end.
  std::vector<SiloState> silos() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace moesaic::sites
