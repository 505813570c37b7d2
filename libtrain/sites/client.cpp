#include "sites/client.h"

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/json_text.h"
#include "identity/key_files.h"
#include "identity/signature.h"
#include "sites/connection.h"
#include "sites/grpc_setup.h"
#include "sites/membership.h"
#include "sites/part_file.h"
#include "sites/stall_guard.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

constexpr double kLook = 0.5;  // seconds that one call for an order may take

identity::Keys silo_keys(const std::string& folder) {
  identity::Keys keys = identity::read_keys(folder);
  MOESAIC_CHECK(keys.name != identity::kCoordinatorFolder, ErrorKind::kData,
                "the keys in {} are the coordinator's, not a silo's", folder);
  return keys;
}

bool no_remedy(const wire::Refusal&) { return false; }

grpc::Status cut_short() { return {grpc::StatusCode::UNAVAILABLE, "the transfer was cut"}; }

}  // namespace

struct SiloClient::Parts {
  explicit Parts(const Options& given)
      : options(given), keys(silo_keys(given.keys)), connection(options, keys) {}

  wire::Letter letter(const wire::Caller& caller, const wire::Note& note) const {
    wire::Letter letter;
    *letter.mutable_caller() = caller;
    *letter.mutable_note() = note;
    letter.set_signature(identity::sign(keys, signed_text(keys.name, caller, note)));
    return letter;
  }

  // Says the stored "join", once.
  grpc::Status try_join(grpc::ClientContext& context, wire::Answer& answer) {
    context.set_deadline(Connection::after(options.stall_s));
    const grpc::Status status =
        connection.stub().Say(&context, letter(member.caller(), join_note), &answer);
    if (status.ok()) member.joined(answer.run(), answer.instance());
    return status;
  }

  // One call as a member, until it is done: joins again when the coordinator began anew.
  // `attempt` gets context and caller; `remedy` what else was refused.
  using Attempt = std::function<grpc::Status(grpc::ClientContext&, const wire::Caller&)>;
  void call(const Attempt& attempt, const Connection::Remedy& remedy = {}) {
    std::string instance;  // of the coordinator, as the last attempt knew it
    connection.call(
        [&](grpc::ClientContext& context) {
          instance = member.instance();
          return attempt(context, member.caller());
        },
        [&](const wire::Refusal& refusal) {
          if (refusal.advice() != wire::Refusal::JOIN_AGAIN)
            return remedy ? remedy(refusal) : false;
          if (refusal.instance() == instance) return false;  // another process took our place
          join_again(refusal.instance());
          return true;
        });
  }

  void join_again(const std::string& instance) {
    const std::lock_guard lock(joining);
    if (member.instance() == instance) return;  // the heartbeat did
    connection.call(
        [&](grpc::ClientContext& context) {
          wire::Answer answer;
          return try_join(context, answer);
        },
        no_remedy);
  }

  // Heartbeats until the end. What fails here fails again where it can be told: in a call.
  void beat() {
    std::unique_lock lock(beating);
    while (!ended) {
      woken.wait_for(lock, std::chrono::duration<double>(options.heartbeat_s),
                     [&] { return ended; });
      if (ended) return;
      lock.unlock();
      beat_once();
      lock.lock();
    }
  }

  void beat_once() {
    const std::string instance = member.instance();
    wire::Heartbeat heartbeat;
    *heartbeat.mutable_caller() = member.caller();
    heartbeat.set_progress(member.progress());
    wire::Pulse pulse;
    grpc::ClientContext context;
    context.set_deadline(Connection::after(options.heartbeat_s));
    const grpc::Status status = connection.stub().Beat(&context, heartbeat, &pulse);
    if (status.ok()) return member.newest(pulse.instance(), pulse.number());
    const auto refusal = refusal_of(status);
    if (!refusal || refusal->advice() != wire::Refusal::JOIN_AGAIN) return;
    const std::unique_lock lock(joining, std::try_to_lock);
    if (!lock.owns_lock() || refusal->instance() == instance) return;
    wire::Answer answer;
    grpc::ClientContext again;
    try_join(again, answer);
  }

  void start_beating() {
    if (beats.joinable()) return;
    ended = false;
    beats = std::thread([this] { beat(); });
  }

  void end() {
    {
      const std::lock_guard lock(beating);
      ended = true;
      woken.notify_all();
    }
    if (beats.joinable()) beats.join();
  }

  // What the coordinator lacks of a file, from where it lacks it.
  void upload(const Blob& blob, const std::string& file);
  grpc::Status upload_from(std::uint64_t offset, const wire::UploadStart& start,
                           const std::string& file, grpc::ClientContext& context);
  grpc::Status fetch_into(PartFile& part, const wire::FetchStart& start,
                          grpc::ClientContext& context);

  Options options;
  identity::Keys keys;
  Connection connection;
  Membership member;
  wire::Note join_note;  // set before the heart beats
  std::mutex joining;

  std::mutex beating;
  std::condition_variable woken;
  bool ended = false;
  std::thread beats;
};

void SiloClient::Parts::upload(const Blob& blob, const std::string& file) {
  std::uint64_t reached = 0;
  call([&](grpc::ClientContext& context, const wire::Caller& caller) {
    wire::UploadStart start;
    *start.mutable_caller() = caller;
    *start.mutable_blob() = wire_of(blob);
    grpc::ClientContext asking;
    asking.set_deadline(Connection::after(options.stall_s));
    wire::UploadState there;
    const grpc::Status asked = connection.stub().Lacks(&asking, start, &there);
    if (!asked.ok()) return asked;
    if (there.bytes() > reached) connection.heard();  // the last try was not in vain
    reached = there.bytes();
    return reached >= blob.bytes ? grpc::Status::OK : upload_from(reached, start, file, context);
  });
}

grpc::Status SiloClient::Parts::upload_from(std::uint64_t offset, const wire::UploadStart& start,
                                            const std::string& file, grpc::ClientContext& context) {
  const std::uint64_t bytes = start.blob().bytes();
  std::ifstream in(file, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  StallGuard guard(options.stall_s, [&] { context.TryCancel(); });
  wire::UploadState state;
  const auto writer = connection.stub().Upload(&context, &state);
  wire::Chunk chunk;
  *chunk.mutable_start() = start;
  try {
    while (offset < bytes) {
      std::string& piece = *chunk.mutable_data();
      piece.resize(std::min<std::uint64_t>(kChunkBytes, bytes - offset));
      MOESAIC_CHECK(in.read(piece.data(), static_cast<std::streamsize>(piece.size())),
                    ErrorKind::kData, "cannot read {} at byte {}", file, offset);
      chunk.set_offset(offset);
      if (!writer->Write(chunk)) break;
      offset += piece.size();
      chunk.clear_start();
      guard.moved();
      connection.alive();
    }
  } catch (...) {
    context.TryCancel();
    writer->Finish();
    throw;
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  return status.ok() && state.bytes() != bytes ? cut_short() : status;
}

grpc::Status SiloClient::Parts::fetch_into(PartFile& part, const wire::FetchStart& start,
                                           grpc::ClientContext& context) {
  StallGuard guard(options.stall_s, [&] { context.TryCancel(); });
  const auto reader = connection.stub().Fetch(&context, start);
  wire::Chunk chunk;
  try {
    while (reader->Read(&chunk)) {
      part.write(chunk.offset(), chunk.data());
      connection.heard();
      connection.alive();
      guard.moved();
    }
  } catch (...) {
    context.TryCancel();
    reader->Finish();
    throw;
  }
  const grpc::Status status = reader->Finish();
  return status.ok() && !part.is_whole() ? cut_short() : status;
}

SiloClient::SiloClient(const Options& options) {
  silence_grpc();
  parts_ = std::make_unique<Parts>(options);
}

SiloClient::~SiloClient() { parts_->end(); }

const std::string& SiloClient::silo() const { return parts_->keys.name; }

std::string SiloClient::run() const { return parts_->member.run(); }

Message SiloClient::join(const Join& join) {
  Parts& parts = *parts_;
  wire::Answer answer;
  {
    const std::lock_guard lock(parts.joining);
    parts.join_note = wire_of(join.message());
    parts.member.begin(new_name());
    parts.connection.call(
        [&](grpc::ClientContext& context) { return parts.try_join(context, answer); }, no_remedy);
  }
  parts.start_beating();
  return message_of(answer.note(), parts.options.most_blob_bytes);
}

std::optional<Message> SiloClient::wait(double seconds) {
  Parts& parts = *parts_;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    const std::chrono::duration<double> left = end - std::chrono::steady_clock::now();
    const double look = std::clamp(left.count(), 0.0, kLook);
    wire::Order order;
    parts.call([&](grpc::ClientContext& context, const wire::Caller& caller) {
      wire::Look request;
      *request.mutable_caller() = caller;
      request.set_instance(parts.member.instance());
      request.set_seen(parts.member.seen());
      request.set_wait_ms(static_cast<std::uint32_t>(look * 1000));
      context.set_deadline(Connection::after(look + parts.options.stall_s));
      return parts.connection.stub().Wait(&context, request, &order);
    });
    if (order.number() > 0) {
      parts.member.saw(order.instance(), order.number());
      return message_of(order.note(), parts.options.most_blob_bytes);
    }
    if (left.count() <= 0.0) return std::nullopt;
  }
}

bool SiloClient::has_order() const { return parts_->member.has_order(); }

Message SiloClient::send(const Message& message, const std::string& file) {
  Parts& parts = *parts_;
  MOESAIC_ASSERT(message.blob.has_value() == !file.empty());
  const wire::Note note = wire_of(message);
  wire::Answer answer;
  parts.call(
      [&](grpc::ClientContext& context, const wire::Caller& caller) {
        context.set_deadline(Connection::after(parts.options.stall_s));
        return parts.connection.stub().Say(&context, parts.letter(caller, note), &answer);
      },
      [&](const wire::Refusal& refusal) {
        if (refusal.advice() != wire::Refusal::SEND_FILE || file.empty()) return false;
        parts.upload(*message.blob, file);
        return true;
      });
  if (message.kind == kGoodbyeKind) parts.end();
  return message_of(answer.note(), parts.options.most_blob_bytes);
}

void SiloClient::fetch(const Blob& blob, const std::string& path) {
  Parts& parts = *parts_;
  check_blob(blob, parts.options.most_blob_bytes);
  PartFile part(path, blob, [&] { parts.connection.alive(); });
  parts.call([&](grpc::ClientContext& context, const wire::Caller& caller) {
    if (part.is_whole()) return grpc::Status::OK;
    wire::FetchStart start;
    *start.mutable_caller() = caller;
    *start.mutable_blob() = wire_of(blob);
    start.set_offset(part.bytes());
    return parts.fetch_into(part, start, context);
  });
  part.finish();
}

void SiloClient::report(const Json& progress) {
  const std::string text = json_text(progress);
  MOESAIC_CHECK(text.size() <= kBodyBytes, ErrorKind::kData, "a report of {} bytes", text.size());
  parts_->member.report(text);
}

}  // namespace moesaic::sites
