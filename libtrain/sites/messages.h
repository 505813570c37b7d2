// What silos and their coordinator say to each other. A message is small; what is large, a model or
// a change, is a file that crosses the wire beside it and is named by its digest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace moesaic::sites {

/// Peers that speak another one do not join.
inline constexpr int kProtocol = 1;
/// Limits of what a peer may send, checked before memory is taken.
inline constexpr std::size_t kChunkBytes = 1U << 20;  // of a file in one piece
inline constexpr std::size_t kBodyBytes = 512U << 10;  // of a message's text
inline constexpr std::size_t kKindBytes = 32;          // of a message's kind

/// A file by its content.
struct Blob {
  std::string digest;  // SHA-256, 64 lower-case hexadecimal digits
  std::uint64_t bytes = 0;

  bool operator==(const Blob&) const = default;
};

/// One message. Each of a silo is signed with the key of its certificate and bound to the run.
struct Message {
  std::string kind;        // 1 to kKindBytes letters a-z and '_'
  std::int64_t round = 0;  // 0 before the first
  Json body = Json::object();
  std::optional<Blob> blob;  // the file that goes with it
};

/// Kinds that the module knows. Any other one, as those of secure sums, is passed on as it is.
inline constexpr std::string_view kJoinKind = "join";        // silo: Join
inline constexpr std::string_view kOfferKind = "offer";      // coordinator: RoundOffer
inline constexpr std::string_view kChangeKind = "change";    // silo: Change
inline constexpr std::string_view kGoodbyeKind = "goodbye";  // either: nothing more will come

/// What a silo is when it joins. What it must equal is the coordinator's to say.
struct Join {
  int protocol = kProtocol;
  std::string version;           // of the program
  std::string weights_digest;    // of the base weights; "" = it has none yet
  std::string tokenizer_digest;  // "" = none
  Json notes = Json::object();   // public facts: number of examples, ranks ...

  Message message() const;
  /// Error(kData) that names the key when a body is not of this form. So are the two below.
  static Join of(const Message& message);
};

/// A round that a silo is asked to take part in.
struct RoundOffer {
  std::int64_t round = 0;
  Blob model;                     // what the silo starts from
  std::vector<std::string> silos;  // who takes part, in the order of the sum
  double deadline_s = 0.0;        // from now to the end of the round
  Json rules = Json::object();    // what else the round asks for

  Message message() const;
  static RoundOffer of(const Message& message);
};

/// What a silo hands in. Whose it is its certificate says, not the message.
struct Change {
  std::int64_t round = 0;
  Blob blob;
  Json notes = Json::object();  // examples, tokens, loss, steps ...

  Message message() const;
  static Change of(const Message& message);
};

/// Error(kData) where a limit above is exceeded, a kind or digest is malformed, or a round negative.
void check_message(const Message& message);
void check_blob(const Blob& blob, std::uint64_t most_bytes);

}  // namespace moesaic::sites
