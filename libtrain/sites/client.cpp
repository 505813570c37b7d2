#include "sites/client.h"

#include <algorithm>
#include <chrono>

#include "core/json_text.h"
#include "identity/key_files.h"
#include "identity/keys.h"
#include "sites/calls.h"
#include "sites/grpc_setup.h"
#include "sites/transfer.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

constexpr double kLookSeconds = 0.5;  // seconds that one call for an order may take

identity::Keys silo_keys(const std::string& folder) {
  identity::Keys keys = identity::read_keys(folder);
  MOESAIC_CHECK(keys.name != identity::kCoordinatorFolder, ErrorKind::kData,
                "the keys in {} are the coordinator's, not a silo's", folder);
  return keys;
}

}  // namespace

struct SiloClient::Parts {
  explicit Parts(const Options& given)
      : options(given), keys(silo_keys(given.keys)), calls(options, keys) {}

  Message message(const wire::Note& note) const {
    return message_of(note, options.most_blob_bytes);
  }

  Options options;
  identity::Keys keys;
  Calls calls;
  std::unique_ptr<Heartbeat> heart;  // last: it ends first
};

SiloClient::SiloClient(const Options& options) {
  silence_grpc();
  parts_ = std::make_unique<Parts>(options);
}

SiloClient::~SiloClient() = default;

const std::string& SiloClient::silo() const { return parts_->keys.name; }

std::string SiloClient::run() const { return parts_->calls.member().run(); }

Message SiloClient::join(const Join& join) {
  Parts& parts = *parts_;
  const wire::Note answer = parts.calls.join(wire_of(join.message()));
  if (!parts.heart) {
    parts.heart = std::make_unique<Heartbeat>(
        parts.options.heartbeat_s, [&parts](Heartbeat& heart) { parts.calls.beat(heart); });
  }
  return parts.message(answer);
}

std::optional<Message> SiloClient::wait(double seconds) {
  Parts& parts = *parts_;
  Membership& member = parts.calls.member();
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    const std::chrono::duration<double> left = end - std::chrono::steady_clock::now();
    const double look = std::clamp(left.count(), 0.0, kLookSeconds);
    wire::Order order;
    parts.calls.call([&](grpc::ClientContext& context, const wire::Caller& caller) {
      wire::Look request;
      *request.mutable_caller() = caller;
      request.set_instance(member.instance());
      request.set_seen(member.seen());
      request.set_wait_ms(static_cast<std::uint32_t>(look * 1000));
      context.set_deadline(Connection::after(look + parts.options.stall_s));
      return parts.calls.connection().stub().Wait(&context, request, &order);
    });
    if (order.number() > 0) {
      member.saw(order.instance(), order.number());
      return parts.message(order.note());
    }
    if (left.count() <= 0.0) return std::nullopt;
  }
}

bool SiloClient::has_order() const { return parts_->calls.member().has_order(); }

Message SiloClient::send(const Message& message, const std::string& file) {
  Parts& parts = *parts_;
  MOESAIC_ASSERT(message.blob.has_value() == !file.empty());
  const wire::Note answer = parts.calls.say(wire_of(message), [&](const wire::Refusal& refusal) {
    if (refusal.advice() != wire::Refusal::SEND_FILE || file.empty()) return false;
    upload(parts.calls, *message.blob, file, parts.options.stall_s);
    return true;
  });
  if (message.kind == kGoodbyeKind) parts.heart.reset();
  return parts.message(answer);
}

void SiloClient::fetch(const Blob& blob, const std::string& path) {
  check_blob(blob, parts_->options.most_blob_bytes);
  sites::fetch(parts_->calls, blob, path, parts_->options.stall_s);
}

void SiloClient::report(const Json& progress) {
  const std::string text = json_text(progress);
  MOESAIC_CHECK(text.size() <= kBodyBytes, ErrorKind::kData, "a report of {} bytes", text.size());
  parts_->calls.member().report(text);
}

}  // namespace moesaic::sites
