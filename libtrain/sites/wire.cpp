#include "sites/wire.h"

#include "core/json_text.h"
#include "core/secret_key.h"

namespace moesaic::sites {
namespace {

constexpr std::size_t kReasonBytes = 1000;  // of a refusal: all of it is in one header

JsonLimits body_limits() {
  return {
      .bytes = kBodyBytes, .depth = 16, .values = 100'000, .members = 10'000, .token = kBodyBytes};
}

}  // namespace

wire::Blob wire_of(const Blob& blob) {
  wire::Blob wire;
  wire.set_digest(blob.digest);
  wire.set_bytes(blob.bytes);
  return wire;
}

wire::Note wire_of(const Message& message) {
  check_kind_and_round(message.kind, message.round);
  wire::Note note;
  note.set_kind(message.kind);
  note.set_round(message.round);
  note.set_body(json_text(message.body));
  MOESAIC_CHECK(note.body().size() <= kBodyBytes, ErrorKind::kData,
                "message '{}' has {} bytes, at most {} are sent", message.kind, note.body().size(),
                kBodyBytes);
  if (message.blob) *note.mutable_blob() = wire_of(*message.blob);
  return note;
}

Blob blob_of(const wire::Blob& wire, std::uint64_t most_bytes) {
  const Blob blob{.digest = wire.digest(), .bytes = wire.bytes()};
  check_blob(blob, most_bytes);
  return blob;
}

Json body_of(const std::string& text, const std::string& where) {
  const Json body = parse_json(text, where, ErrorKind::kData, body_limits());
  MOESAIC_CHECK(body.is_object(), ErrorKind::kData, "{} is no object", where);
  return body;
}

Message message_of(const wire::Note& note, std::uint64_t most_blob_bytes) {
  check_kind_and_round(note.kind(), note.round());
  Message message{.kind = note.kind(), .round = note.round()};
  message.body = body_of(note.body(), format("message '{}'", note.kind()));
  if (note.has_blob()) message.blob = blob_of(note.blob(), most_blob_bytes);
  return message;
}

std::string text_of(const wire::Note& note) {
  // No field but the last may have a line end in it.
  return format("{}\n{}\n{}\n{}\n{}", note.kind(), note.round(), note.blob().digest(),
                note.blob().bytes(), note.body());
}

std::string signed_text(const std::string& silo, const wire::Caller& caller,
                        const wire::Note& note) {
  return format("Moesaic federation {}\n{}\n{}\n{}\n{}", caller.protocol(), silo, caller.run(),
                caller.session(), text_of(note));
}

grpc::Status status_of(const Error& error, wire::Refusal::Advice advice,
                       const std::string& instance) {
  wire::Refusal refusal;
  refusal.set_kind(error.exit_code());
  refusal.set_message(printable(error.what(), kReasonBytes));
  refusal.set_hint(printable(error.hint(), kReasonBytes));
  refusal.set_instance(instance);
  refusal.set_advice(advice);
  return {grpc::StatusCode::FAILED_PRECONDITION, "refused", refusal.SerializeAsString()};
}

std::optional<wire::Refusal> refusal_of(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::FAILED_PRECONDITION) return std::nullopt;
  wire::Refusal refusal;
  if (!refusal.ParseFromString(status.error_details())) return std::nullopt;
  return refusal;
}

Error error_of(const wire::Refusal& refusal) {
  return {kind_of(refusal.kind()).value_or(ErrorKind::kCommunication),
          printable(refusal.message(), kReasonBytes), printable(refusal.hint(), kReasonBytes)};
}

std::string new_name() {
  constexpr std::size_t kNameBytes = 16;
  const SecretKey drawn = SecretKey::from_system();
  std::string name;
  for (const std::byte value : drawn.bytes().first<kNameBytes>())
    name += format("{:02x}", static_cast<unsigned>(value));
  return name;
}

}  // namespace moesaic::sites
