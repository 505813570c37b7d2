#include "sites/service.h"

#include <grpc/grpc_security_constants.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "identity/signature.h"
#include "sites/stall_guard.h"
#include "sites/wire.h"

namespace moesaic::sites {
namespace {

constexpr double kLongestWait = 60.0;  // seconds that one call for an order is held back

std::string certificate_in(const grpc::ServerContext& context) {
  const auto found = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return found.empty() ? "" : std::string(found.front().data(), found.front().size());
}

}  // namespace

void Shelf::add(const std::string& path, const Blob& blob) {
  const std::lock_guard lock(mutex_);
  paths_[blob.digest] = path;
}

void Shelf::remove(const Blob& blob) {
  const std::lock_guard lock(mutex_);
  paths_.erase(blob.digest);
}

std::string Shelf::path_of(const Blob& blob) const {
  const std::lock_guard lock(mutex_);
  const auto found = paths_.find(blob.digest);
  MOESAIC_CHECK(found != paths_.end(), ErrorKind::kData,
                "the coordinator offers no file of digest {}", blob.digest);
  return found->second;
}

Service::Service(const Options& options, const identity::PeerCheck& peers, Sessions& sessions,
                 Requests& requests, Inbox& inbox, const Shelf& shelf)
    : options_(options),
      peers_(peers),
      sessions_(sessions),
      requests_(requests),
      inbox_(inbox),
      shelf_(shelf) {}

template <class Work>
grpc::Status Service::guarded(const Work& work) {
  const auto refused = [&](const Error& error, wire::Refusal::Advice advice) {
    return status_of(error, advice, sessions_.instance());
  };
  try {
    work();
    return grpc::Status::OK;
  } catch (const Dropped&) {
    return {grpc::StatusCode::UNAVAILABLE, "the coordinator ends or is busy"};
  } catch (const Refused& error) {
    return refused(error, error.advice());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCheckpoint) return refused(error, wire::Refusal::NONE);
    requests_.fail(error);  // this side's disk: the silo waits for a coordinator that goes on
    return {grpc::StatusCode::UNAVAILABLE, "the coordinator cannot write to its disk"};
  } catch (const std::exception& error) {
    return refused(Error(ErrorKind::kInternal, error.what()), wire::Refusal::NONE);
  }
}

identity::Peer Service::member(const grpc::ServerContext& context, const wire::Caller& caller) {
  identity::Peer peer = peers_.check(certificate_in(context));
  sessions_.check(peer.name, caller);
  return peer;
}

grpc::Status Service::Say(grpc::ServerContext* context, const wire::Letter* letter,
                          wire::Answer* answer) {
  return guarded([&] {
    const Message reply = wait_for(ask(*context, *letter), *context);
    answer->set_run(sessions_.run());
    answer->set_instance(sessions_.instance());
    *answer->mutable_note() = wire_of(reply);
  });
}

Answer Service::ask(const grpc::ServerContext& context, const wire::Letter& letter) {
  const wire::Caller& caller = letter.caller();
  const Message message = message_of(letter.note(), options_.most_blob_bytes);
  const bool joins = message.kind == kJoinKind;
  if (joins) sessions_.check_joining(caller);
  const identity::Peer peer =
      joins ? peers_.check(certificate_in(context)) : member(context, caller);
  MOESAIC_CHECK(identity::is_signed(peer.certificate, signed_text(peer.name, caller, letter.note()),
                                    letter.signature()),
                ErrorKind::kData, "message '{}' of silo '{}', round {}, has a wrong signature",
                message.kind, peer.name, message.round);
  // A process joins by itself: another one of the same silo says the same, and is another.
  const std::string text = text_of(letter.note()) + (joins ? "\n" + caller.session() : "");
  const auto settle = [this, silo = peer.name, session = caller.session(), kind = message.kind,
                       has_file = message.blob.has_value()](bool accepted) {
    if (has_file) inbox_.release(silo);
    if (accepted && kind == kJoinKind) sessions_.join(silo, session);
    if (accepted && kind == kGoodbyeKind) sessions_.leave(silo);
  };
  const std::lock_guard lock(asking_);
  if (const auto known = requests_.find(peer.name, text)) return *known;
  const std::string file = take_file(peer.name, message);
  try {
    return requests_.ask(peer.name, text, message, file, settle);
  } catch (...) {
    if (message.blob) inbox_.release(peer.name);
    throw;
  }
}

std::string Service::take_file(const std::string& silo, const Message& message) {
  if (!message.blob) return "";
  std::string file = inbox_.take(silo, *message.blob);
  if (file.empty()) {
    throw Refused(
        Error(ErrorKind::kData,
              format("the file of message '{}' of silo '{}' is not here", message.kind, silo)),
        wire::Refusal::SEND_FILE);
  }
  return file;
}

Message Service::wait_for(const Answer& answer, const grpc::ServerContext& context) const {
  constexpr auto kLook = std::chrono::milliseconds(100);
  while (answer.wait_for(kLook) != std::future_status::ready)
    if (stopped_ || context.IsCancelled()) throw Dropped{};
  return answer.get();
}

grpc::Status Service::Wait(grpc::ServerContext* context, const wire::Look* look,
                           wire::Order* order) {
  return guarded([&] {
    const identity::Peer peer = member(*context, look->caller());
    const bool same = look->instance() == sessions_.instance();
    const double seconds = std::min(look->wait_ms() / 1000.0, kLongestWait);
    *order = sessions_.wait(peer.name, same ? look->seen() : 0, seconds,
                            [&] { return context->IsCancelled(); });
  });
}

grpc::Status Service::Beat(grpc::ServerContext* context, const wire::Heartbeat* beat,
                           wire::Pulse* pulse) {
  return guarded([&] {
    const identity::Peer peer = member(*context, beat->caller());
    if (!beat->progress().empty())
      sessions_.progress(peer.name, body_of(beat->progress(), "a silo's progress"));
    pulse->set_instance(sessions_.instance());
    pulse->set_number(sessions_.newest(peer.name));
  });
}

grpc::Status Service::Lacks(grpc::ServerContext* context, const wire::UploadStart* start,
                            wire::UploadState* state) {
  return guarded([&] {
    const identity::Peer peer = member(*context, start->caller());
    state->set_bytes(inbox_.expect(peer.name, blob_of(start->blob(), options_.most_blob_bytes)));
  });
}

grpc::Status Service::Upload(grpc::ServerContext* context, grpc::ServerReader<wire::Chunk>* reader,
                             wire::UploadState* state) {
  return guarded([&] {
    StallGuard guard(options_.stall_s, [&] { context->TryCancel(); });
    wire::Chunk chunk;
    MOESAIC_CHECK(reader->Read(&chunk) && chunk.has_start(), ErrorKind::kData,
                  "a transfer without a beginning");
    const identity::Peer peer = member(*context, chunk.start().caller());
    const Blob blob = blob_of(chunk.start().blob(), options_.most_blob_bytes);
    const auto upload = inbox_.begin(peer.name, blob);
    do {
      if (stopped_) throw Dropped{};
      state->set_bytes(inbox_.add(*upload, chunk.offset(), chunk.data()));
      sessions_.moved(peer.name, chunk.data().size(), 0);
      guard.moved();
    } while (reader->Read(&chunk));
  });
}

grpc::Status Service::Fetch(grpc::ServerContext* context, const wire::FetchStart* start,
                            grpc::ServerWriter<wire::Chunk>* writer) {
  return guarded([&] {
    const identity::Peer peer = member(*context, start->caller());
    const Blob blob = blob_of(start->blob(), UINT64_MAX);
    std::ifstream file(shelf_.path_of(blob), std::ios::binary);
    std::uint64_t offset = std::min(start->offset(), blob.bytes);
    file.seekg(static_cast<std::streamoff>(offset));
    StallGuard guard(options_.stall_s, [&] { context->TryCancel(); });
    wire::Chunk chunk;
    while (offset < blob.bytes && !stopped_) {
      std::string& piece = *chunk.mutable_data();
      piece.resize(std::min<std::uint64_t>(kChunkBytes, blob.bytes - offset));
      MOESAIC_CHECK(file.read(piece.data(), static_cast<std::streamsize>(piece.size())),
                    ErrorKind::kData, "a file that the coordinator offers cannot be read");
      chunk.set_offset(offset);
      if (!writer->Write(chunk)) return;
      offset += piece.size();
      sessions_.moved(peer.name, 0, piece.size());
      guard.moved();
    }
    if (stopped_) throw Dropped{};
  });
}

}  // namespace moesaic::sites
