// Between the values of messages.h and what gRPC carries (wire.proto): both ways, with every limit
// checked on the way in.
#pragma once

#include <grpcpp/support/status.h>
#include <wire.pb.h>

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/messages.h"

namespace moesaic::sites {

/// Of a gRPC message: a chunk, or a body, and what is around it.
inline constexpr int kWireBytes = (1 << 20) + (64 << 10);

wire::Blob wire_of(const Blob& blob);
/// Error(kData) where a limit of messages.h is exceeded.
wire::Note wire_of(const Message& message);

/// Error(kData) that names no content.
Blob blob_of(const wire::Blob& blob, std::uint64_t most_bytes);
Message message_of(const wire::Note& note, std::uint64_t most_blob_bytes);

/// A JSON object of at most kBodyBytes, nothing deep.
Json body_of(const std::string& text, const std::string& where);

/// What makes two messages of one silo the same: kind, round, body and file.
std::string text_of(const wire::Note& note);
/// What a silo signs: the message, whose it is, and the run and process it belongs to.
std::string signed_text(const std::string& silo, const wire::Caller& caller,
                        const wire::Note& note);

/// A refusal and what the silo can do about it.
class Refused : public Error {
 public:
  Refused(const Error& error, wire::Refusal::Advice advice) : Error(error), advice_(advice) {}
  wire::Refusal::Advice advice() const { return advice_; }

 private:
  wire::Refusal::Advice advice_;
};

/// `instance` is the coordinator's process.
grpc::Status status_of(const Error& error, wire::Refusal::Advice advice,
                       const std::string& instance);
/// What a coordinator refused with; nothing for a status that the network made.
std::optional<wire::Refusal> refusal_of(const grpc::Status& status);
Error error_of(const wire::Refusal& refusal);

/// 32 hexadecimal digits that nobody had before.
std::string new_name();

}  // namespace moesaic::sites
