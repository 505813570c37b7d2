#include "sites/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <thread>

#include "sites/grpc_setup.h"
#include "sites/handshake.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

constexpr double kFirstPause = 0.1;
constexpr double kLongestPause = 5.0;
constexpr int kClosedOften = 3;

std::shared_ptr<grpc::Channel> channel_to(const SiloClient::Options& options,
                                          const identity::Keys& keys) {
  const KeepAlive alive(options.heartbeat_s, options.stall_s);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kWireBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, alive.time_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, alive.timeout_ms);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);  // of a connect that hangs
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // to the address given and nowhere else
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = keys.authority;
  ssl.pem_private_key = keys.private_key;
  ssl.pem_cert_chain = keys.certificate;
  return grpc::CreateCustomChannel(options.connect, grpc::SslCredentials(ssl), arguments);
}

// What a cut connection, or a coordinator that is away, can look like.
bool is_passing(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
      return true;
    default:
      return false;
  }
}

}  // namespace

Connection::Connection(const SiloClient::Options& options, const identity::Keys& keys)
    : options_(options),
      keys_(keys),
      stub_(wire::Federation::NewStub(channel_to(options, keys))),
      heard_(std::chrono::steady_clock::now()) {}

std::chrono::system_clock::time_point Connection::after(double seconds) {
  const std::chrono::duration<double> span(seconds);
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(span);
}

void Connection::heard() {
  heard_ = std::chrono::steady_clock::now();
  pause_s_ = 0.0;
  closed_ = 0;
}

void Connection::alive() const {
  if (options_.alive) options_.alive();
}

void Connection::call(const Attempt& attempt, const Remedy& remedy) {
  heard_ = std::chrono::steady_clock::now();  // nobody listened between two calls
  for (;;) {
    alive();
    grpc::Status status;
    {
      grpc::ClientContext context;
      status = attempt(context);
    }
    if (status.ok()) return heard();
    if (const auto refusal = refusal_of(status)) {
      heard();
      if (!remedy(*refusal)) throw error_of(*refusal);
      continue;
    }
    const std::string reason = printable(status.error_message());
    if (!is_passing(status)) {
      throw Error(ErrorKind::kCommunication,
                  format("the coordinator at {} cannot be talked to: {}", options_.connect, reason),
                  "do both sides run the same version of Moesaic?");
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) look_at_handshake();
    pause(reason);
  }
}

void Connection::look_at_handshake() {
  const Handshake handshake = try_handshake(options_.connect, keys_);
  closed_ = handshake == Handshake::kClosed ? closed_ + 1 : 0;
  if (closed_ < kClosedOften) return;
  throw Error(ErrorKind::kCommunication,
              format("the coordinator at {} ends every connection of silo '{}': it does not accept "
                     "its certificate, or is no coordinator",
                     options_.connect, keys_.name),
              "both sides need keys of one moesaic federate keys");
}

void Connection::pause(const std::string& reason) {
  using Clock = std::chrono::steady_clock;
  const std::chrono::duration<double> away = Clock::now() - heard_;
  if (away.count() >= options_.deadline_s) {
    throw Error(ErrorKind::kCommunication,
                format("the coordinator at {} has not been heard for {:.0f} s: {}",
                       options_.connect, away.count(), reason),
                "begin again when it is there: a silo goes on where it was");
  }
  pause_s_ = std::clamp(pause_s_ * 2, kFirstPause, kLongestPause);
  const auto end = Clock::now() + std::chrono::duration<double>(pause_s_);
  while (Clock::now() < end) {
    alive();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace moesaic::sites
