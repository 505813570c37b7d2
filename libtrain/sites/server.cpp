#include "sites/server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>

#include "identity/key_files.h"
#include "identity/keys.h"
#include "sites/grpc_setup.h"
#include "sites/handshake.h"
#include "sites/service.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

constexpr int kStreams = 16;    // calls at a time of one connection
constexpr int kThreads = 2048;  // of all calls; one that waits has one

identity::Keys coordinator_keys(const std::string& folder) {
  identity::Keys keys = identity::read_keys(folder);
  MOESAIC_CHECK(keys.name == identity::kCoordinatorFolder, ErrorKind::kData,
                "the keys in {} are those of silo '{}', not of the coordinator", folder, keys.name);
  return keys;
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const identity::Keys& keys) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = keys.authority;
  options.pem_key_cert_pairs.push_back({keys.private_key, keys.certificate});
  return grpc::SslServerCredentials(options);
}

void check_run(const std::string& run) {
  constexpr std::size_t kLongest = 128;
  const bool plain =
      std::all_of(run.begin(), run.end(), [](char c) { return c > ' ' && c <= '~'; });
  MOESAIC_ASSERT(plain && !run.empty() && run.size() <= kLongest);
}

}  // namespace

struct CoordinatorServer::Parts {
  explicit Parts(const Options& options)
      : keys(coordinator_keys(options.keys)),
        peers(options.keys, keys.authority),
        sessions(options.run),
        inbox(options.inbox, options.most_blob_bytes),
        service({options.most_blob_bytes, options.stall_s}, peers, sessions, requests, inbox,
                shelf) {}

  void listen(const Options& options) {
    const KeepAlive alive(options.heartbeat_s, options.stall_s);
    grpc::ResourceQuota quota("coordinator");
    quota.SetMaxThreads(kThreads);
    grpc::ServerBuilder builder;
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(kWireBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else two may have one port
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreams);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, alive.time_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, alive.timeout_ms);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
    builder.AddListeningPort(options.listen, credentials_of(keys), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    if (server && port > 0) return;
    throw Error(ErrorKind::kUsage, format("cannot listen on {}", printable(options.listen)),
                "give HOST:PORT with an address of this machine and a port that is not in use");
  }

  identity::Keys keys;
  identity::PeerCheck peers;
  Sessions sessions;
  Requests requests;
  Inbox inbox;
  Shelf shelf;
  Service service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;  // last: it ends first
};

CoordinatorServer::CoordinatorServer(const Options& options) {
  check_run(options.run);
  check_address(options.listen);  // gRPC would take another port for one above the last
  silence_grpc();
  parts_ = std::make_unique<Parts>(options);
  parts_->listen(options);
}

CoordinatorServer::~CoordinatorServer() {
  constexpr auto kPatience = std::chrono::milliseconds(500);
  parts_->service.stop();
  parts_->sessions.stop();
  parts_->requests.stop();
  parts_->server->Shutdown(std::chrono::system_clock::now() + kPatience);
}

int CoordinatorServer::port() const { return parts_->port; }

std::optional<Request> CoordinatorServer::next(double wait_s) {
  return parts_->requests.next(wait_s);
}

void CoordinatorServer::order(const std::string& silo, const Message& order) {
  parts_->sessions.order(silo, wire_of(order));
}

Blob CoordinatorServer::publish(const std::string& path) {
  const Blob blob = blob_of(path);
  publish(path, blob);
  return blob;
}

void CoordinatorServer::publish(const std::string& path, const Blob& known) {
  parts_->shelf.add(path, known);
}

void CoordinatorServer::withdraw(const Blob& blob) { parts_->shelf.remove(blob); }

std::vector<SiloState> CoordinatorServer::silos() const { return parts_->sessions.states(); }

}  // namespace moesaic::sites
